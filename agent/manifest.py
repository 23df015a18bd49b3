"""The models that models/manifest.toml pins: files of packages, and the tensors they have."""

from dataclasses import dataclass
from pathlib import Path

from agent.packaged_files import PackagedFile, read

Shape = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class ModelFile(PackagedFile):
    """A TFLite model, with the shape of its input and those of its outputs in order."""

    input: Shape
    outputs: tuple[Shape, ...]


def read_manifest(path: Path | None = None) -> dict[str, ModelFile]:
    """The models by name. Raises ModelError for a manifest that is missing or incomplete."""
    return read(path or _manifest_path(), ModelFile)


def _manifest_path() -> Path:
    here = Path(__file__).parent
    installed = here / "manifest.toml"
    return installed if installed.exists() else here.parent / "models" / "manifest.toml"
