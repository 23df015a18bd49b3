"""The benches of speed: what is missing is null and said aloud; what grows is noticed."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from bench import soak
from bench.soak import Report, Sample
from bench.speed import main as speed
from bench.speed.main import Side

ROOT = Path(__file__).parents[2]


def test_without_mediapipe_the_rest_is_measured_and_the_gap_is_loud(model_cache: Path) -> None:
    missing = {"BLINKLOG_MEDIAPIPE_PYTHON": "/nowhere", "BLINKLOG_TFLITE_PYTHON": "/nowhere"}
    done = subprocess.run(
        [sys.executable, "-m", "bench.speed", "--json", "--frames", "20", "--rounds", "1"],
        env={**os.environ, **missing},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert 0.2 < result["session_frame_over_invoke"] < result["dearest_frame_over_invoke"]
    for clock in ("wall", "cpu"):
        for peer in ("mediapipe", "mediapipe_refined"):
            assert result[f"{clock}_over_{peer}"] is None
    sides = {(each["threads"], each["layout"]): each for each in result["sides"]}
    assert set(sides) == {(1, "bgr"), (1, "yuv420"), (2, "bgr"), (2, "yuv420")}
    assert set(result["stages"]) == {"glance", "seen", "drawn"}
    assert all(set(each) == set(speed.STAGES) for each in result["stages"].values())
    assert all(each["without_face"] == 0 for each in sides.values())
    assert "no MediaPipe to compare with" in done.stderr
    assert all(line.startswith("!! ") for line in done.stderr.splitlines())


def test_a_side_that_dies_is_left_out_and_its_last_words_are_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    dying = Side("dying", [sys.executable, "-c", "raise SystemExit('no such runtime')"])
    assert speed.run([dying], 1, tmp_path) == {}
    assert "dying can't be measured: no such runtime" in capsys.readouterr().err


def test_a_ratio_compares_what_was_measured_in_the_same_round() -> None:
    ours, theirs = Side("ours", []), Side("theirs", [])
    for noise in (1.0, 5.0, 1.1):  # the machine was busy in the second round
        ours.rounds.append({"step": {"wall": [noise], "cpu": [noise]}})
        theirs.rounds.append({"step": {"wall": [2 * noise], "cpu": [4 * noise]}})
    assert speed._over(ours, theirs, "wall") == 0.5
    assert speed._over(ours, theirs, "cpu") == 0.25
    assert speed._over(ours, None, "wall") is None
    assert ours.figures("step")["wall_min"] == 1.0
    assert ours.figures("step")["wall_median"] == 1.1


def test_a_frame_is_dear_if_it_is_so_in_most_rounds() -> None:
    side = Side("ours", [])
    for hit in (0, 1, 3):  # in each round the scheduler makes another frame wait
        times = [0.5, 0.5, 1.4, 0.5]
        times[hit] = 30.0
        side.rounds.append({"step": {"wall": times}, "bare": {"wall": [1.0, 1.0, 9.0]}})
    assert speed._over_invoke(side, max) == 1.4
    assert speed._over_invoke(side) == pytest.approx((3 * 0.5 + 1.4) / 4, abs=1e-3)


def test_the_dearer_layout_counts_and_the_floor_is_what_the_models_take() -> None:
    peer = Side("mediapipe plain", [], rounds=[{"step": {"wall": [4.0], "cpu": [5.0]}}])
    sides = {"mediapipe plain": peer}
    for layout, step_ms in (("bgr", 1.0), ("yuv420", 1.2)):
        times = {"step": [step_ms, 3 * step_ms], "bare": [2.0]}
        for kind in ("glance", "drawn"):
            times |= {f"{kind} {stage}": [0.1] for stage in speed.STAGES}
        both = {name: {"wall": each, "cpu": each} for name, each in times.items()}
        sides[layout] = Side(layout, [], threads=1, layout=layout, rounds=[both])
    result = speed.summary(sides)
    assert result["session_frame_over_invoke"] == 1.2
    assert result["dearest_frame_over_invoke"] == 1.8
    assert result["wall_over_mediapipe"] == 0.6
    assert result["cpu_over_mediapipe"] == 0.48
    assert result["wall_over_mediapipe_refined"] is None
    assert result["floor_over_mediapipe"] == pytest.approx(3 * 0.1 / 4.0)


DOCUMENT = {
    "metrics": {"duration_s": 600.0, "frames": 18000, "frames_dropped": 0, "blink_count": 100},
    "camera": {"fps": 30.0},
}


def soaked(megabytes_per_minute: float, start_mb: float = 80.0) -> Report:
    idle = Sample(0, 1.0, 70, 3, 8), Sample(20, 1.1, 70, 3, 8)
    taken = [
        Sample(30 + 2 * n, 2 + 0.2 * n, start_mb + megabytes_per_minute * n / 30, 4, 9)
        for n in range(300)
    ]
    return soak._report(DOCUMENT, idle, taken, decoder_mb=9.0)


def test_a_soak_notices_what_grows_and_what_is_too_large() -> None:
    assert soaked(0.0).failures() == []
    assert soaked(0.0).idle_cpu_percent == pytest.approx(0.5)
    assert soaked(0.0).session_cpu_percent == pytest.approx(10.0)
    assert soaked(0.1).growth_mb_per_hour == pytest.approx(6.0)
    assert soaked(0.1).failures() == ["memory grows"]
    assert soaked(0.0, start_mb=96).failures() == ["above 95 MB"]


def test_a_process_is_sampled_as_proc_tells_it() -> None:
    now = soak.sample(os.getpid())
    assert 10 < now.rss_mb < 4000
    assert now.threads >= 1
    assert now.files >= 3
    assert now.cpu_s > 0
