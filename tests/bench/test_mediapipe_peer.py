"""MediaPipe beside Blinklog on clips: that a gap is never taken for a result."""

from pathlib import Path

import pytest

from bench import mediapipe_peer
from bench.detectors import fixed_threshold
from bench.recordings import Clip

RULES = {"fixed": fixed_threshold}
CLIP = Clip(Path("some.mp4"), labelled=[(10, 14), (30, 34)], ignored=[(50, 60)])


def python_that(does: str, folder: Path) -> str:
    script = folder / "python"
    script.write_text(f"#!/bin/sh\n{does}\n")
    script.chmod(0o755)
    return str(script)


@pytest.fixture
def trace(tmp_path: Path) -> Path:
    """One labelled blink, one that is none, one where none counts."""
    low = {*range(10, 15), *range(40, 45), *range(52, 57)}
    rows = [f"{n},{n / 30:.6f},{0.1 if n in low else 0.3}" for n in range(70)]
    path = tmp_path / "trace.csv"
    path.write_text("\n".join(["frame,time_s,ear", *rows]))
    return path


def test_what_mediapipe_saw_is_scored_by_each_rule_and_mesh(
    trace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BLINKLOG_MEDIAPIPE_PYTHON", python_that(f"cat {trace}", trace.parent))
    row = {"labelled": 2, "found": 1, "false": 1, "f1": 0.5}
    expected = {"FaceMesh: fixed": row, "FaceMesh, refined: fixed": row}
    assert mediapipe_peer.on_clips([CLIP], RULES) == expected


@pytest.mark.parametrize("does", ["echo no such module >&2; exit 1", "kill -9 $$", "exit 0"])
def test_a_mediapipe_that_fails_is_null_and_loud(
    does: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("BLINKLOG_MEDIAPIPE_PYTHON", python_that(does, tmp_path))
    assert mediapipe_peer.on_clips([CLIP], RULES) is None
    assert "FaceMesh can't be measured on some.mp4" in capsys.readouterr().err


def test_a_mediapipe_that_is_not_there_is_null_and_loud(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("BLINKLOG_MEDIAPIPE_PYTHON", str(tmp_path / "nowhere"))
    assert mediapipe_peer.on_clips([CLIP], RULES) is None
    assert "!!" in capsys.readouterr().err


def test_without_clips_no_environment_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mediapipe_peer, "mediapipe_python", lambda: pytest.fail("was asked for"))
    assert mediapipe_peer.on_clips([], RULES) is None
