"""Find, download, verify and load the TFLite models of models/manifest.toml."""

import importlib
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Protocol

from agent.errors import ModelError
from agent.face.model_files import ModelFile, Shape, fetch_files, opened, read_manifest

if TYPE_CHECKING:
    from numpy.typing import NDArray

RUNTIMES = ("ai_edge_litert", "tflite_runtime")
"""The same interpreter under its new and its old name, in the order to try."""

DEVICE_MODELS = Path("/opt/blinklog/models")


class Interpreter(Protocol):
    """The methods of both runtimes' `Interpreter` that Blinklog uses."""

    def get_input_details(self) -> list[dict[str, Any]]: ...
    def get_output_details(self) -> list[dict[str, Any]]: ...
    def resize_tensor_input(self, input_index: int, tensor_size: Sequence[int]) -> None: ...
    def allocate_tensors(self) -> None: ...
    def tensor(self, tensor_index: int) -> Callable[[], "NDArray[Any]"]: ...
    def invoke(self) -> None: ...


def default_cache() -> Path:
    """Return the folder of the models.

    It is $BLINKLOG_MODELS, else the device's folder, which all releases share, else one in
    systemd's $CACHE_DIRECTORY, else one in the user's cache.
    """
    if chosen := os.environ.get("BLINKLOG_MODELS"):
        return Path(chosen)
    if DEVICE_MODELS.is_dir():
        return DEVICE_MODELS
    if systemd := os.environ.get("CACHE_DIRECTORY"):
        return Path(systemd.split(":")[0]) / "models"
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return home / "blinklog" / "models"


def fetch(cache: Path) -> list[Path]:
    """Download every model of the manifest into `cache`, unless a valid copy is there."""
    return fetch_files(read_manifest().values(), cache)


def load(name: str, cache: Path, threads: int = 1, input_shape: Shape | None = None) -> Interpreter:
    """Return an interpreter for the model `name` of the manifest. Raises ModelError.

    See `load_file`.
    """
    manifest = read_manifest()
    if name not in manifest:
        raise ModelError(f"unknown model {name!r}: expected one of {', '.join(sorted(manifest))}")
    return load_file(manifest[name], cache, threads, input_shape)


def load_file(
    model: ModelFile, cache: Path, threads: int = 1, input_shape: Shape | None = None
) -> Interpreter:
    """Return an interpreter for `model`, ready to run.

    `input_shape`, (1, height, width, channels), resizes its input. Hash and tensor shapes are
    checked against the manifest. One inference is run: tflite-runtime with numpy 2 can be imported
    and fails only then. Raises ModelError with what was expected and found.
    """
    if input_shape == model.input:
        input_shape = None  # resizing costs memory
    elif input_shape is not None:
        model = model.resized(input_shape)
    failures = []
    with opened(model, cache) as file:
        for runtime in _runtimes():
            try:
                interpreter = _start(runtime, file, threads, input_shape)
            except Exception as error:  # any error of a native library: try the next one
                failures.append(f"{runtime}: {error}{_cause(error)}")
                continue
            _check_shapes(model, interpreter)
            return interpreter
    raise ModelError(f"no TFLite runtime can run {model.name}: " + "; ".join(failures))


def _cause(error: BaseException) -> str:
    return f" ({error.__cause__})" if error.__cause__ else ""


def _runtimes() -> Sequence[str]:
    forced = os.environ.get("BLINKLOG_RUNTIME")
    if not forced:
        return RUNTIMES
    if forced not in RUNTIMES:
        raise ModelError(f"BLINKLOG_RUNTIME: expected {' or '.join(RUNTIMES)}, found {forced!r}")
    return (forced,)


def _start(runtime: str, file: BinaryIO, threads: int, input_shape: Shape | None) -> Interpreter:
    """Map the model into memory and run it once.

    The path refers to the verified file that is open, even if it is replaced meanwhile.
    """
    module = importlib.import_module(f"{runtime}.interpreter")
    interpreter: Interpreter = module.Interpreter(
        model_path=f"/proc/self/fd/{file.fileno()}", num_threads=threads
    )
    if input_shape is not None:
        interpreter.resize_tensor_input(interpreter.get_input_details()[0]["index"], input_shape)
    interpreter.allocate_tensors()
    for detail in interpreter.get_input_details():
        interpreter.tensor(detail["index"])().fill(0)
    interpreter.invoke()
    return interpreter


def _check_shapes(model: ModelFile, interpreter: Interpreter) -> None:
    found = _shapes(interpreter.get_input_details()), _shapes(interpreter.get_output_details())
    expected = (
        [(model.input, "float32")],
        [(shape, "float32") for shape in model.outputs],
    )
    if found != expected:
        raise ModelError(f"{model.name}: expected tensors {expected}, found {found}")


def _shapes(details: list[dict[str, Any]]) -> list[tuple[Shape, str]]:
    return [(tuple(int(n) for n in d["shape"]), d["dtype"].__name__) for d in details]
