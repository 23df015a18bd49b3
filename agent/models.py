"""Find, fetch, verify and load the TFLite models of models/manifest.toml."""

import importlib
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from agent.errors import ModelError
from agent.manifest import ModelFile, Shape, read_manifest
from agent.packaged_files import fetch_files, verified

RUNTIMES = ("ai_edge_litert", "tflite_runtime")
"""The same interpreter under its new and its old name, in the order they are tried."""

DEVICE_MODELS = Path("/opt/blinklog/models")


class Interpreter(Protocol):
    """What both runtimes' `Interpreter` has and Blinklog uses."""

    def get_input_details(self) -> list[dict[str, Any]]: ...
    def get_output_details(self) -> list[dict[str, Any]]: ...
    def allocate_tensors(self) -> None: ...
    def tensor(self, tensor_index: int) -> Callable[[], NDArray[Any]]: ...
    def invoke(self) -> None: ...


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
