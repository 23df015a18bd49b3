"""Models listed in bench/peers.toml that benchmarks compare with, fetched on demand."""

from pathlib import Path

from agent.face import model_files, models
from agent.face.model_files import read_manifest


def load(name: str, cache: Path, threads: int = 1) -> models.Interpreter:
    """An interpreter for the model `name`, ready to run. Raises ModelError."""
    model = read_manifest(Path(__file__).with_suffix(".toml"))[name]
    model_files.fetch_files([model], cache)
    return models.load_file(model, cache, threads)
