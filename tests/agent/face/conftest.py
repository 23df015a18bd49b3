"""Models that can be fetched without a network, and a tracker that counts its looks."""

import hashlib
import os
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from agent.face.mesh import load_models
from agent.face.model_cut import cut
from agent.face.model_files import ModelPart, PackagedFile
from agent.face.tracker import FaceTracker
from tests.agent.face.looks import Watched
from tests.agent.face.toy import CONTENT, TOY


@pytest.fixture
def watched(model_cache: Path) -> tuple[FaceTracker, Watched, Watched]:
    """A tracker with its detector and trunk."""
    parts = load_models(model_cache)
    finder, trunk = Watched(parts.detector_stem), Watched(parts.trunk)
    return FaceTracker(replace(parts, detector_stem=finder, trunk=trunk)), finder, trunk


@pytest.fixture
def wheels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of wheels as pip's only source, with one package in it."""
    folder = tmp_path / "wheels"
    folder.mkdir()
    with zipfile.ZipFile(folder / "eyes-1.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr("eyes/lid.tflite", CONTENT)
        wheel.writestr("eyes/face.tflite", TOY)
        wheel.writestr(
            "eyes-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: eyes\nVersion: 1.0\n"
        )
        wheel.writestr(
            "eyes-1.0.dist-info/WHEEL",
            "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        )
        wheel.writestr("eyes-1.0.dist-info/RECORD", "")
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


@pytest.fixture
def lid() -> PackagedFile:
    sha256 = hashlib.sha256(CONTENT).hexdigest()
    return PackagedFile("lid", "eyes", "1.0", "eyes/lid.tflite", sha256, "MIT")


@pytest.fixture
def parts() -> list[ModelPart]:
    """Both halves of the toy model."""
    ends = {"opener": (["x"], ["open"]), "widener": (["open"], ["wide"])}
    picture, whole = (1, 2, 2, 1), hashlib.sha256(TOY).hexdigest()
    return [
        ModelPart(
            name=name,
            package="eyes",
            version="1.0",
            member="eyes/face.tflite",
            sha256=hashlib.sha256(cut(TOY, first, last, picture)).hexdigest(),
            licence="MIT",
            input=picture,
            outputs=(picture,),
            source_sha256=whole,
            from_tensors=tuple(first),
            to_tensors=tuple(last),
        )
        for name, (first, last) in ends.items()
    ]
