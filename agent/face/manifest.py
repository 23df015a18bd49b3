"""The models that models/manifest.toml pins: packaged files or parts of them, and their tensors."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

from agent.face.model_cut import cut, scaled
from agent.face.packaged_files import PackagedFile, read

Shape = tuple[int, ...]


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
    return read(path or _manifest_path(), _model)


def _model(**table: Any) -> ModelFile:
    kind: Callable[..., ModelFile] = ModelPart if "source_sha256" in table else ModelFile
    return kind(**table)


def _manifest_path() -> Path:
    here = Path(__file__).parent
    installed = here / "manifest.toml"
    return installed if installed.exists() else here.parents[1] / "models" / "manifest.toml"
