"""blink-agent as a person uses it: real files, the real model, exit status and words."""

import contextlib
import csv
import json
import os
import re
import shutil
import subprocess
import sys
from datetime import datetime
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from agent.capture import ReplayCamera
from agent.cli import main as cli
from agent.face import models
from agent.offline.replay import frames_of
from agent.store.store import Store
from tests.agent.videos import damaged

ROOT = Path(__file__).parents[3]
CLIPS = Path(os.environ.get("BLINKLOG_DATA", ROOT.parent / "shared" / "data")) / "clips"
INPUTS = Path(__file__).parents[1] / "inputs"
FIVE_FIELDS = {"first_frame", "last_frame", "at_s", "duration_ms", "complete"}


@pytest.fixture(scope="session", autouse=True)
def fetched_models() -> None:
    models.fetch(models.default_cache())


@pytest.fixture
def clip() -> Path:
    path = CLIPS / "single_face.mp4"
    if not path.exists():
        pytest.skip(f"no recording at {path}")
    return path


def blink_agent(
    *arguments: str | Path, home: Path, folder: Path = ROOT, **variables: str
) -> subprocess.CompletedProcess[str]:
    environment = {
        "BLINKLOG_AGENT_STORE_PATH": str(home / "agent.sqlite3"),
        "BLINKLOG_MODELS": str(models.default_cache()),
        **variables,
    }
    return subprocess.run(
        [sys.executable, "-m", "agent.cli.main", *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def moment(answer: dict[str, Any], key: str) -> datetime:
    return datetime.fromisoformat(answer["document"][key])


def answered(done: subprocess.CompletedProcess[str]) -> Any:
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_replay_prints_frames_rate_document_and_blinks(clip: Path, tmp_path: Path) -> None:
    trace = tmp_path / "trace.csv"
    answer = answered(blink_agent("replay", clip, "--json", "--trace", trace, home=tmp_path))
    assert set(answer) == {"frames", "fps", "ends_early", "document", "counted", "blinks"}
    assert answer["ends_early"] is None
    assert (answer["frames"], answer["fps"]) == (72, 30.0)
    (blink,) = answer["blinks"]
    assert set(blink) == FIVE_FIELDS
    assert blink["first_frame"] <= 29
    assert blink["last_frame"] >= 25
    assert answer["document"]["metrics"]["blink_count"] == 1
    lasted = (moment(answer, "ended_at") - moment(answer, "started_at")).total_seconds()
    assert lasted == pytest.approx(answer["document"]["metrics"]["duration_s"], abs=0.001)
    assert answer["document"]["blinks"]["at_s"] == [round(blink["at_s"], 2)]

    with trace.open(newline="") as file:
        rows = list(csv.DictReader(file))
    eyes = ["ear_left", "ear_right", "ear", "face_score", "iris", "lower_lid"]
    assert list(rows[0]) == ["frame", "time_s", *eyes]
    assert [int(row["frame"]) for row in rows] == list(range(72))
    again = answered(blink_agent("analyse", trace, "--json", home=tmp_path))
    assert again["blinks"] == answer["blinks"]
    assert again["quality"] == answer["document"]["quality"]
    assert again["assumed_fps"] is None


def test_a_video_without_a_face_measures_nothing(tmp_path: Path) -> None:
    if not (clip := CLIPS / "no_face.mp4").exists():
        pytest.skip(f"no recording at {clip}")
    answer = answered(blink_agent("replay", clip, "--json", home=tmp_path))
    metrics = answer["document"]["metrics"]
    assert answer["blinks"] == []
    assert answer["counted"] is False
    assert metrics["coverage"] == 0
    measured = {name for name, value in metrics.items() if value is not None}
    assert measured == {"duration_s", "valid_s", "coverage", "frames", "frames_dropped"}


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("missing.mp4", None, "can't be read"),
        ("empty.mp4", b"", "found an empty file"),
        ("words.mp4", b"these are words, and no video\n" * 100, "not a video"),
    ],
)
def test_replay_refuses_what_is_no_video(
    tmp_path: Path, name: str, content: bytes | None, says: str
) -> None:
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    done = blink_agent("replay", path, "--json", home=tmp_path)
    assert done.returncode != 0
    assert says in done.stderr
    assert done.stdout == ""


def test_replay_refuses_a_truncated_video_without_an_index(clip: Path, tmp_path: Path) -> None:
    half = tmp_path / "half.mp4"
    half.write_bytes(clip.read_bytes()[: clip.stat().st_size // 2])
    done = blink_agent("replay", half, "--json", home=tmp_path)
    assert done.returncode != 0
    assert "truncated" in done.stderr


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (None, "can't be read"),
        ("", "empty file"),
        ("frame,ear\n", "row"),
        ("frame,ear\n0,0.3\n1,zero\n", "zero"),
        ("time,value\n0,0.3\n", "ear"),
    ],
)
def test_analyse_refuses_what_is_no_trace(tmp_path: Path, content: str | None, says: str) -> None:
    path = tmp_path / "trace.csv"
    if content is not None:
        path.write_text(content)
    done = blink_agent("analyse", path, "--json", home=tmp_path)
    assert done.returncode != 0
    assert says in done.stderr
    assert done.stdout == ""


def test_replay_draws_what_it_counted_and_prints_the_same(clip: Path, tmp_path: Path) -> None:
    video, plot = tmp_path / "overlay.mp4", tmp_path / "plot.png"
    plain = answered(blink_agent("replay", clip, "--json", home=tmp_path))
    drawn = answered(
        blink_agent("replay", clip, "--json", "--overlay", video, "--plot", plot, home=tmp_path)
    )
    assert {name: drawn[name] for name in ("frames", "fps", "blinks")} == {
        name: plain[name] for name in ("frames", "fps", "blinks")
    }
    assert set(drawn) == set(plain)
    assert drawn["document"]["metrics"] == plain["document"]["metrics"]
    written = ReplayCamera(video)
    assert (written.width, written.height, written.fps) == (640, 360, 30.0)
    assert sum(1 for _ in frames_of(written)) == 72
    picture = cv2.imread(str(plot))
    assert picture is not None
    assert picture.shape[1] == 1600
    assert {path.name for path in tmp_path.iterdir()} == {"overlay.mp4", "plot.png"}


def test_analyse_draws_the_same_plot_as_replay(clip: Path, tmp_path: Path) -> None:
    trace = tmp_path / "trace.csv"
    first, second = tmp_path / "first.png", tmp_path / "second.png"
    done = blink_agent("replay", clip, "--trace", trace, "--plot", first, home=tmp_path)
    assert done.returncode == 0, done.stderr
    trace = trace.rename(tmp_path / clip.name)  # the plot's title
    done = blink_agent("analyse", trace, "--plot", second, home=tmp_path)
    assert done.returncode == 0, done.stderr
    apart = np.abs(cv2.imread(str(first)).astype(int) - cv2.imread(str(second)))
    assert (apart > 40).mean() < 0.001  # a trace is rounded


@pytest.mark.parametrize(
    ("command", "file", "says"),
    [
        ("replay", ("--overlay", "missing/out.mp4"), "can't be written: No such file"),
        ("replay", ("--overlay", "out.avi"), "expected a name that ends in .mp4"),
        ("replay", ("--plot", "out.jpg"), "expected a name that ends in .png"),
        ("analyse", ("--plot", "missing/out.png"), "can't be written: No such file"),
    ],
)
def test_a_picture_that_cannot_be_written_is_refused_before_measuring(
    clip: Path, tmp_path: Path, command: str, file: tuple[str, str], says: str
) -> None:
    source = clip
    if command == "analyse":
        source = tmp_path / "trace.csv"
        source.write_text("frame,ear\n0,0.3\n1,0.3\n")
    before = set(tmp_path.iterdir())
    option, name = file
    done = blink_agent(command, source, "--json", option, tmp_path / name, home=tmp_path)
    assert done.returncode == 1
    assert says in done.stderr
    assert done.stdout == ""
    assert set(tmp_path.iterdir()) == before


def test_replay_never_writes_over_the_video_it_reads(clip: Path, tmp_path: Path) -> None:
    video = tmp_path / "video.mp4"
    video.write_bytes(clip.read_bytes())
    done = blink_agent("replay", video, "--overlay", tmp_path / "." / "video.mp4", home=tmp_path)
    assert done.returncode == 1
    assert "found the file that is being read" in done.stderr
    assert video.read_bytes() == clip.read_bytes()


def motion_jpeg(path: Path, frames: int = 90) -> bytes:
    """What an AVI of black pictures contains."""
    video = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 30, (64, 48))
    for _ in range(frames):
        video.write(np.zeros((48, 64, 3), np.uint8))
    video.release()
    return path.read_bytes()


def test_a_video_that_ends_early_is_measured_and_drawn_and_said_to(tmp_path: Path) -> None:
    cut = tmp_path / "cut.avi"
    whole = motion_jpeg(cut)
    cut.write_bytes(whole[: len(whole) // 2])
    plot, overlay = tmp_path / "plot.png", tmp_path / "overlay.mp4"
    done = blink_agent("replay", cut, "--json", "--plot", plot, "--overlay", overlay, home=tmp_path)
    answer = answered(done)
    said = f"truncated: expected at least {len(whole)} bytes, found {len(whole) // 2}"
    assert said in answer["ends_early"]
    assert f"blink-agent: {cut}: ends early: {answer['ends_early']}\n" in done.stderr
    assert 30 < answer["frames"] < 60
    assert {path.name for path in tmp_path.iterdir()} == {"cut.avi", "plot.png", "overlay.mp4"}


def test_a_video_of_which_nothing_can_be_decoded_leaves_no_picture(tmp_path: Path) -> None:
    motion_jpeg(tmp_path / "whole.avi")
    broken = damaged(tmp_path / "whole.avi", range(90))
    plot, overlay = tmp_path / "plot.png", tmp_path / "overlay.mp4"
    done = blink_agent("replay", broken, "--plot", plot, "--overlay", overlay, home=tmp_path)
    assert done.returncode == 1
    assert "no frame in it can be decoded" in done.stderr
    assert {path.name for path in tmp_path.iterdir()} == {"whole.avi", "damaged.avi"}


def test_a_bare_stream_needs_its_rate(tmp_path: Path) -> None:
    stream = INPUTS / "bare.h264"
    done = blink_agent("replay", stream, "--json", home=tmp_path)
    assert done.returncode == 1
    assert done.stdout == ""
    assert "give its frame rate (blink-agent replay --fps N)" in done.stderr
    answer = answered(blink_agent("replay", stream, "--json", "--fps", "10", home=tmp_path))
    assert (answer["frames"], answer["fps"]) == (20, 10)
    assert answer["document"]["metrics"]["duration_s"] == pytest.approx(1.9)
    done = blink_agent("replay", INPUTS / "trimmed.mp4", "--fps", "10", home=tmp_path)
    assert done.returncode == 1
    assert "has timestamps: leave out --fps" in done.stderr


def test_names_with_colons_are_names(tmp_path: Path) -> None:
    shutil.copy(INPUTS / "stays.mp4", tmp_path / "2026-11-22T10:15:30.mp4")
    for name in ("2026-11-22T10:15:30.mp4", "./2026-11-22T10:15:30.mp4"):
        done = blink_agent(
            "replay", name, "--overlay", "out-10:15.mp4", "--json", home=tmp_path, folder=tmp_path
        )
        assert answered(done)["frames"] == 20
        assert (tmp_path / "out-10:15.mp4").exists()


def test_analyse_prints_no_count_that_a_session_would_not_give(tmp_path: Path) -> None:
    slow = tmp_path / "slow.csv"
    rows = [f"{row / 7:.4f},{0.1 if row % 21 in (10, 11) else 0.3}\n" for row in range(210)]
    slow.write_text("time_s,ear\n" + "".join(rows))
    done = blink_agent("analyse", slow, home=tmp_path)
    assert done.returncode == 0
    assert done.stdout == "blinks not counted: short, low_frame_rate\n"
    answer = answered(blink_agent("analyse", slow, "--json", home=tmp_path))
    assert answer == {
        "counted": False,
        "blinks": [],
        "quality": ["short", "low_frame_rate"],
        "assumed_fps": None,
    }


def test_a_rate_that_is_assumed_for_a_trace_is_said(tmp_path: Path) -> None:
    trace = tmp_path / "trace.csv"
    trace.write_text("frame,ear\n" + "".join(f"{row},0.3\n" for row in range(100)))
    done = blink_agent("analyse", trace, "--json", home=tmp_path)
    assert answered(done)["assumed_fps"] == 30
    assert "no time_s: assuming 30 frames per second (--fps N)" in done.stderr
    done = blink_agent("analyse", trace, "--json", "--fps", "30", home=tmp_path)
    assert (answered(done)["assumed_fps"], done.stderr) == (None, "")


def test_a_replay_while_the_server_is_down_stays_in_the_store(clip: Path, tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("bld_nothing\n")
    server = {
        "BLINKLOG_AGENT_SERVER_URL": "http://127.0.0.1:9",  # discard(9): nobody listens
        "BLINKLOG_AGENT_SERVER_TOKEN_FILE": str(token),
        "BLINKLOG_AGENT_SERVER_TIMEOUT_S": "2",
    }
    done = blink_agent("replay", clip, "--json", "--deliver", home=tmp_path, **server)
    assert done.returncode != 0
    assert "not delivered yet" in done.stderr
    document = json.loads(done.stdout)["document"]
    with contextlib.closing(Store(tmp_path / "agent.sqlite3")) as store:
        (kept,) = store.pending(10)
    assert kept == document

    status = answered(blink_agent("status", "--json", home=tmp_path))
    assert status["sessions"]["pending"] == 1
    (listed,) = answered(blink_agent("sessions", "--json", home=tmp_path))
    assert listed == document


def test_a_plain_replay_leaves_no_session_behind(clip: Path, tmp_path: Path) -> None:
    assert blink_agent("replay", clip, home=tmp_path).returncode == 0
    assert answered(blink_agent("sessions", "--json", home=tmp_path)) == []


def test_sync_says_when_there_is_nowhere_to_deliver_to(tmp_path: Path) -> None:
    done = blink_agent("sync", "--once", home=tmp_path)
    assert done.returncode == 1
    assert "[server] url" in done.stderr


def test_config_check_names_the_key_that_is_wrong(tmp_path: Path) -> None:
    file = tmp_path / "agent.toml"
    file.write_text("[camera]\nfsp = 30\n")
    done = blink_agent("--config", file, "config", "check", home=tmp_path)
    assert done.returncode == 1
    assert "did you mean 'fps'?" in done.stderr


def test_a_configuration_is_utf_8_and_is_shown_whatever_the_locale(tmp_path: Path) -> None:
    file = tmp_path / "agent.toml"
    file.write_text('[camera]\ndevice = "/dev/Küche"\n', "utf-8")
    locale = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}  # one without umlauts
    done = blink_agent("--config", file, "config", "check", home=tmp_path, **locale)
    assert (done.returncode, done.stderr) == (0, "")
    assert "camera.device = /dev/K?che" in done.stdout


@pytest.mark.parametrize("command", ["status", "doctor"])
def test_who_stops_reading_is_told_no_more(command: str, tmp_path: Path) -> None:
    file = tmp_path / "agent.toml"
    file.write_text("[camera]\nfsp = 30\n" if command == "doctor" else "")
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [sys.executable, "-m", "agent.cli.main", "--config", str(file), command],
        env={**os.environ, "BLINKLOG_AGENT_STORE_PATH": str(tmp_path / "agent.sqlite3")},
        cwd=ROOT,
        stdout=writing,
        stderr=subprocess.PIPE,
        text=True,
        timeout=60,
        check=False,
    )
    os.close(writing)
    assert (done.returncode, done.stderr) == (141, "")


def test_a_start_that_nobody_obeys_is_not_called_done(tmp_path: Path) -> None:
    done = blink_agent("start", home=tmp_path)
    assert done.returncode == 1
    assert "blink-agent watch is not running" in done.stderr


def test_retry_names_a_session_it_does_not_know(tmp_path: Path) -> None:
    done = blink_agent("retry", "nothing", home=tmp_path)
    assert done.returncode == 1
    assert "'nothing'" in done.stderr


def test_every_command_is_in_the_docs(capsys: pytest.CaptureFixture[str]) -> None:
    text = (ROOT / "docs" / "operating-device.md").read_text()
    with pytest.raises(SystemExit):
        cli.main(["--help"])
    commands = re.findall(r"^    ([a-z-]+)  ", capsys.readouterr().out, re.MULTILINE)
    assert len(commands) > 10
    assert [each for each in commands if f"`blink-agent {each}" not in text] == []
