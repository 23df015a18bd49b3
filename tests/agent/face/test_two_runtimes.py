"""Both runtimes compute the same, each in an environment of its own."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from scripts.portrait import Portrait
from tests.agent.face.runtimes import installed
from tests.faces import ROOT

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
from agent.face.tracker import FaceTracker
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
    if not installed("ai_edge_litert"):
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
