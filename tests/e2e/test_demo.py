"""./demo itself: from a blinking face to the caregiver's history, in real processes."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def demo(*arguments: str, environ: Mapping[str, str] | None = None) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "scripts.demo", *arguments],
        cwd=ROOT,
        env={**os.environ, **(environ or {})},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def processes_of(folder: str) -> list[str]:
    """The command lines of all processes that name `folder`."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if folder in line:
            found.append(line)
    return found


@pytest.mark.timeout(180)
@pytest.mark.parametrize(
    "broker",
    [
        pytest.param(True, id="with a broker"),
        pytest.param(False, id="over HTTP alone", marks=pytest.mark.slow),
    ],
)
def test_the_demo_counts_right_and_leaves_nothing_behind(broker: bool, tmp_path: Path) -> None:
    environ = {"TMPDIR": str(tmp_path)}
    if not broker:
        environ["BLINKLOG_DEMO_BROKER"] = "none"
    running = demo("--once", "--seconds", "12", environ=environ)
    said, _ = running.communicate(timeout=150)
    assert running.returncode == 0, said
    counts = re.search(r"blinks: (\d+) true, (\d+) measured", said)
    assert counts is not None
    assert counts[1] == counts[2]
    assert ("using HTTP only" in said) is not broker
    assert '"date_uncertain": false' in said
    assert 'made-up sessions, all from the device "Made-up sessions"' in said
    assert list(tmp_path.iterdir()) == []
    assert processes_of(str(tmp_path)) == []


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_the_demo_ends_cleanly_when_it_is_told_to(tmp_path: Path) -> None:
    running = demo("--seconds", "12", environ={"TMPDIR": str(tmp_path)})
    assert running.stdout is not None
    for line in running.stdout:
        if "starting the device" in line:
            break
    time.sleep(0.5)
    running.send_signal(signal.SIGINT)
    said, _ = running.communicate(timeout=60)
    assert running.returncode == 130, said
    assert list(tmp_path.iterdir()) == []
    assert processes_of(str(tmp_path)) == []


@pytest.mark.parametrize(("option", "status"), [("--help", 0), ("--nonsense", 2)])
def test_help_and_wrong_options_set_nothing_up(tmp_path: Path, option: str, status: int) -> None:
    for each in ("demo", "scripts/common.sh", "scripts/demo_options.py"):
        (tmp_path / each).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / each, tmp_path / each)
    done = subprocess.run(
        [tmp_path / "demo", option], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == status
    assert "usage: ./demo" in done.stdout + done.stderr
    assert not (tmp_path / ".venv").exists()
