"""`blink-agent aim` on a real recording, alone and beside a running `watch`."""

import json
import os
import pty
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from agent.face import models

ROOT = Path(__file__).parents[3]
CLIPS = Path(os.environ.get("BLINKLOG_DATA", ROOT.parent / "shared" / "data")) / "clips"


@pytest.fixture(scope="module", autouse=True)
def fetched_models() -> None:
    models.fetch(models.default_cache())


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    clip = CLIPS / "single_face.mp4"
    if not clip.exists():
        pytest.skip(f"no recording at {clip}")
    (tmp_path / "run").mkdir()
    return {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "BLINKLOG_MODELS": str(models.default_cache()),
        "BLINKLOG_AGENT_STORE_PATH": str(tmp_path / "agent.sqlite3"),
        "BLINKLOG_AGENT_CAMERA_SOURCE": "replay",
        "BLINKLOG_AGENT_CAMERA_FILE": str(clip),
        "BLINKLOG_AGENT_CONTROLS_PINS": "none",
        "RUNTIME_DIRECTORY": str(tmp_path / "run"),
    }


def blink_agent(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "agent.cli.main", *arguments]


@pytest.fixture
def watch(environment: dict[str, str], tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        blink_agent("watch"), env=environment, stderr=subprocess.PIPE, text=True
    )
    until = time.monotonic() + 60
    while not (tmp_path / "agent.sqlite3").exists() and time.monotonic() < until:
        time.sleep(0.05)
    time.sleep(0.5)
    yield process
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=30)


def views_of(output: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in output.splitlines()]


def test_without_watch_it_uses_the_camera_itself(environment: dict[str, str]) -> None:
    done = subprocess.run(
        blink_agent("aim", "--json"),
        env=environment, capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    views = views_of(done.stdout)
    assert 10 <= len(views) <= 14  # five a second of 2.4 s
    assert views[-1]["advice"] == "good"
    assert views[-1]["blinks"] == 1
    assert views[-1]["apart_px"] == pytest.approx(69, abs=3)


def test_beside_watch_it_shows_the_views_of_watch_and_leaves_none(
    environment: dict[str, str], watch: subprocess.Popen[str], tmp_path: Path
) -> None:
    done = subprocess.run(
        blink_agent("aim", "--json", "--seconds", "2"),
        env=environment, capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    views = views_of(done.stdout)
    assert len(views) >= 3
    assert [each["number"] for each in views] == sorted({each["number"] for each in views})
    until = time.monotonic() + 10
    while (tmp_path / "run" / "aim.json").exists() and time.monotonic() < until:
        time.sleep(0.05)
    assert not list((tmp_path / "run").iterdir())
    assert watch.poll() is None


def test_in_a_terminal_it_draws_the_face(environment: dict[str, str]) -> None:
    ours, theirs = pty.openpty()
    process = subprocess.Popen(blink_agent("aim"), env=environment, stdout=theirs)
    os.close(theirs)
    output = b""
    try:
        while part := os.read(ours, 65536):
            output += part
    except OSError:  # the terminal's other side is closed
        pass
    assert process.wait(timeout=30) == 0
    text = output.decode()
    assert "Good: the eyes are seen well." in text
    assert any(0x2801 <= ord(letter) <= 0x28FF for letter in text)
    os.close(ours)


@pytest.mark.parametrize("seconds", ["0", "-1", "nan", "x"])
def test_a_time_that_is_none_is_refused(environment: dict[str, str], seconds: str) -> None:
    done = subprocess.run(
        blink_agent("aim", f"--seconds={seconds}"),
        env=environment, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert "expected seconds, above 0 to 86400" in done.stderr
