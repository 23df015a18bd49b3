"""The scoreboard on public recordings: made-up copies of each format, whole and broken."""

import json
import sys
from collections.abc import Iterable
from pathlib import Path

import pytest

from agent.errors import CameraError, ModelError
from agent.records import EyeSample
from bench.public import main as public
from bench.public.formats import (
    find,
)
from bench.scoring import Interval, Score
from tests.bench.labels import rows, write_tag, write_times

# The board, with samples in place of what the camera sees

LOW = [(40, 46), (80, 86), (120, 126)]


def samples(frames: int = 200, low: Iterable[Interval] = LOW, fps: float = 30.0) -> list[EyeSample]:
    ears = [0.3] * frames
    for first, last in low:
        ears[first : last + 1] = [0.1] * (last + 1 - first)
    return [EyeSample(n / fps, ear, ear, ear, 1.0) for n, ear in enumerate(ears)]


def folder_of(tmp_path: Path, name: str, blinks: Iterable[Interval] = LOW) -> Path:
    tag = write_tag(tmp_path / "data" / name, rows(200, blinks))
    tag.with_suffix(".avi").touch()
    return tmp_path / "data"


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> list[EyeSample]:
    """What the camera is to have seen: the test may change it."""
    made = samples()
    monkeypatch.setattr(public, "see", lambda video: made)
    return made


def run(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int:
    words = ["bench.public", "--no-mediapipe", *map(str, arguments)]
    monkeypatch.setattr(sys, "argv", words)
    return public.main()


def test_every_rule_is_scored_by_data_set_and_pooled(
    tmp_path: Path,
    seen: list[EyeSample],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder_of(tmp_path, "eyeblink8/1/26122013_223310_cam.tag")
    folder = folder_of(tmp_path, "talkingFace/talking.tag", [*LOW[:2], (160, 170)])
    assert run(monkeypatch, folder, "--json") == 0
    told = capsys.readouterr()
    table = json.loads(told.out)
    assert list(table["data_sets"]) == ["EyeBlink8", "TalkingFace"]
    assert list(table["pooled"]["rules"]) == list(public.RULES)
    assert table["pooled"]["rules"]["EAR < 0.21 for 3 frames"] == {
        "found": 5, "false": 1, "missed": 1,
        "precision": 0.8333, "recall": 0.8333, "f1": 0.8333,
    }  # fmt: skip
    right = table["data_sets"]["EyeBlink8"]["rules"]
    assert {each["f1"] for each in right.values()} == {1.0}
    assert table["data_sets"]["EyeBlink8"]["blinks"] == 3
    assert table["pooled"]["mediapipe"] is None
    assert table["left_out"] == {}
    assert "[2/2] TalkingFace: talkingFace/talking" in told.err


def test_the_table_is_printed_for_people(
    tmp_path: Path,
    seen: list[EyeSample],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder = folder_of(tmp_path, "eyeblink8/1/26122013_223310_cam.tag")
    assert run(monkeypatch, folder) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[1] == "EyeBlink8: 1 recording, 0.1 min, 3 blinks (3 annotated)"
    assert any(line.split() == ["Blinklog", "3", "0", "0", *3 * ["1.000"]] for line in lines)
    assert lines[-1] == "MediaPipe: null"


def test_a_double_blink_that_is_detected_as_two_is_right(
    tmp_path: Path, seen: list[EyeSample], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = folder_of(tmp_path, "some.tag", [(10, 14), (15, 20)])
    monkeypatch.setattr(public, "RULES", {"two": lambda samples: [(10, 15), (16, 20)]})
    [measured], _ = public.measure(find(folder), python=None)
    assert measured.scores == {"two": Score(true=1)}
    assert measured.annotation.annotated == 2


def test_times_are_those_of_the_txt_file(tmp_path: Path, seen: list[EyeSample]) -> None:
    folder = folder_of(tmp_path, "talking.tag")
    write_times(folder / "talking.txt", 200, 0.04)
    [measured], _ = public.measure(find(folder), python=None)
    assert measured.duration_s == pytest.approx(199 * 0.04)


def test_times_that_cannot_be_are_said_and_not_used(
    tmp_path: Path, seen: list[EyeSample], capsys: pytest.CaptureFixture[str]
) -> None:
    folder = folder_of(tmp_path, "talking.tag")
    (folder / "talking.txt").write_text("0 0\n")
    [measured], _ = public.measure(find(folder), python=None)
    assert measured.duration_s == pytest.approx(199 / 30)
    assert "!! the video's own times are used" in capsys.readouterr().err


def test_one_that_cannot_be_measured_is_left_out_and_said(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    seen: list[EyeSample],
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder_of(tmp_path, "1/good.tag")
    folder = folder_of(tmp_path, "2/no_video.tag")
    (folder / "2" / "no_video.avi").unlink()
    write_tag(folder / "3" / "short.tag", rows(300)).with_suffix(".avi").touch()
    (folder / "4").mkdir()
    (folder / "4" / "broken.tag").write_text("#start\n")
    assert run(monkeypatch, folder, "--json") == 0
    told = capsys.readouterr()
    left_out = json.loads(told.out)["left_out"]
    assert list(left_out) == ["2/no_video", "3/short", "4/broken"]
    assert "its frames as images; found neither" in left_out["2/no_video"]
    assert "expected a video of 300 frames" in left_out["3/short"]
    assert "expected a row for each frame" in left_out["4/broken"]
    assert told.err.count("is left out") == 3
    assert run(monkeypatch, folder) == 0
    assert "Left out: 3/short: " in capsys.readouterr().out


def test_a_video_that_breaks_off_is_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def see(video: Path) -> list[EyeSample]:
        raise CameraError("the video breaks off")

    monkeypatch.setattr(public, "see", see)
    folder = folder_of(tmp_path, "1/some.tag")
    assert run(monkeypatch, folder) == 1
    assert "!! 1/some is left out: the video breaks off" in capsys.readouterr().err


def test_without_models_nothing_is_measured_and_that_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def see(video: Path) -> list[EyeSample]:
        raise ModelError("the models are not there")

    monkeypatch.setattr(public, "see", see)
    assert run(monkeypatch, folder_of(tmp_path, "1/some.tag")) == 1
    assert "bench.public: the models are not there" in capsys.readouterr().err


def test_labels_that_leave_much_open_are_said(
    tmp_path: Path, seen: list[EyeSample], capsys: pytest.CaptureFixture[str]
) -> None:
    folder = folder_of(tmp_path, "some.tag")
    write_tag(folder / "some.tag", rows(200, LOW)[:100])
    [measured], _ = public.measure(find(folder), python=None)
    assert measured.scores["EAR < 0.21 for 3 frames"].false == 0
    assert "!! some: 50% of the frames have no label" in capsys.readouterr().err


def test_a_few_labels_beyond_the_video_are_said(
    tmp_path: Path, seen: list[EyeSample], capsys: pytest.CaptureFixture[str]
) -> None:
    folder = folder_of(tmp_path, "some.tag")
    del seen[-3:]
    public.measure(find(folder), python=None)
    assert "the last 3 labels lie beyond the video's 197 frames" in capsys.readouterr().err


def test_fewer_recordings_can_be_asked_for(
    tmp_path: Path,
    seen: list[EyeSample],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name in ("rn15/1/a.tag", "rn15/2/a.tag", "rn15/10/a.tag", "eyeblink8/1/a.tag"):
        folder = folder_of(tmp_path, name)
    assert run(monkeypatch, folder, "--json", "--limit", 2) == 0
    table = json.loads(capsys.readouterr().out)
    assert list(table["recordings"]) == ["eyeblink8/1/a", "rn15/1/a", "rn15/2/a"]
    assert run(monkeypatch, folder, "--json", "--minutes", 0) == 1
    table = json.loads(capsys.readouterr().out)
    assert table["left_out"]["rn15/10/a"] == "not begun within 0 minutes"
    with pytest.raises(SystemExit):
        run(monkeypatch, folder, "--limit", 0)
    assert "expected a number from 1 up" in capsys.readouterr().err


def test_a_folder_without_recordings_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, tmp_path) == 1
    assert "expected .tag or .vt files below" in capsys.readouterr().err


# MediaPipe


def python_that(does: str, folder: Path) -> Path:
    script = folder / "python"
    script.write_text(f"#!/bin/sh\n{does}\n")
    script.chmod(0o755)
    return script


def test_mediapipe_is_scored_by_the_same_rules(tmp_path: Path, seen: list[EyeSample]) -> None:
    folder = folder_of(tmp_path, "some.tag")
    trace = tmp_path / "trace.csv"
    lines = [f"{n},{each.time_s:.6f},{each.ear}" for n, each in enumerate(samples(low=LOW[:1]))]
    trace.write_text("\n".join(["frame,time_s,ear", *lines]))
    found = public.measure(find(folder), python=python_that(f"cat {trace}", tmp_path))
    rows_of = public.board(*found)["pooled"]["mediapipe"]
    assert len(rows_of) == 2 * len(public.RULES)
    assert rows_of["FaceMesh, refined: EAR < 0.20 for 2 frames"]["found"] == 1
    assert rows_of["FaceMesh: EAR < 0.7 of 10 s median, 2 frames"]["missed"] == 2


@pytest.mark.parametrize("does", ["exit 1", "printf 'frame,time_s,ear\\n0,0.0,0.3\\n'"])
def test_mediapipe_that_fails_is_null_and_loud(
    does: str, tmp_path: Path, seen: list[EyeSample], capsys: pytest.CaptureFixture[str]
) -> None:
    folder = folder_of(tmp_path, "some.tag")
    found = public.measure(find(folder), python=python_that(does, tmp_path))
    table = public.board(*found)
    assert table["pooled"]["mediapipe"] is None
    assert table["pooled"]["rules"]["Blinklog"]["found"] == 3
    assert "!!" in capsys.readouterr().err
