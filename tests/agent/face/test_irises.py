"""Irises: computed ten times a second, only for lids below a limit; no number changes by that."""

import math
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from agent.camera.replay import ReplayCamera
from agent.clock import Clock
from agent.ear import eye_sample
from agent.face.eyes import Contours
from agent.face.mesh import load_models
from agent.face.tracker import IRIS_S, FaceTracker
from agent.measure.recording import Recording, Tracker
from agent.offline.replay import frames_of
from agent.records import FaceLandmarks, Frame
from scripts.portrait import Portrait
from tests.agent.face.looks import FPS, Watched, frames, settled


@pytest.fixture
def seen_by(model_cache: Path) -> tuple[FaceTracker, list[Watched]]:
    """A tracker, and the models of its irises."""
    parts = load_models(model_cache)
    irises = [Watched(parts.right_iris), Watched(parts.left_iris)]
    return FaceTracker(replace(parts, right_iris=irises[0], left_iris=irises[1])), irises


@pytest.mark.parametrize("irises_below", [math.inf, 1.0])
def test_without_a_limit_they_are_computed_ten_times_a_second(
    seen_by: tuple[FaceTracker, list[Watched]], portrait: Portrait, irises_below: float
) -> None:
    tracker, models = seen_by
    faces = [tracker.find(each, irises_below) for each in frames([portrait.frame(1.0)] * FPS)]
    times = [face.time_s for face in faces if face is not None and face.irises is not None]
    assert len(times) == 10
    assert np.diff(times).min() >= IRIS_S
    assert [model.runs for model in models] == [10, 10]


def test_of_open_eyes_they_are_left_out(
    seen_by: tuple[FaceTracker, list[Watched]], portrait: Portrait
) -> None:
    tracker, models = seen_by
    opened, shut = portrait.frame(1.0), portrait.frame(0.0)
    ears = [eye_sample(0, settled(tracker, picture)).ear or 0 for picture in (opened, shut)]
    between = sum(ears) / 2
    tracker.reset()
    before = models[0].runs
    faces = [tracker.find(each, between) for each in frames([opened] * 15 + [shut] * 15)]
    found = [face is not None and face.irises is not None for face in faces]
    assert not any(found[:15])
    assert 4 <= sum(found[15:]) <= 6
    assert models[0].runs == models[1].runs == before + sum(found)


def test_one_eye_that_shuts_is_enough(
    seen_by: tuple[FaceTracker, list[Watched]], portrait: Portrait
) -> None:
    tracker, _ = seen_by
    sample = eye_sample(0, settled(tracker, portrait.frame((1.0, 0.0))))
    assert sample.ear_left is not None
    assert sample.ear is not None
    assert sample.ear_left < sample.ear
    wink = frames([portrait.frame((1.0, 0.0))] * 6)
    tracker.reset()
    limit = (sample.ear_left + sample.ear) / 2
    assert any(face and face.irises is not None for face in (tracker.find(w, limit) for w in wink))


def test_they_are_where_they_were_without_the_limit(
    seen_by: tuple[FaceTracker, list[Watched]], portrait: Portrait
) -> None:
    """Whether one is computed depends on the time and the lids alone, so a limit moves none."""
    tracker, _ = seen_by
    shown = frames(portrait.frame(openness) for openness in [1.0] * 10 + [0.2] * 12 + [1.0] * 5)
    everything = [tracker.find(each) for each in shown]
    tracker.reset()
    limited = [tracker.find(each, 0.15) for each in shown]
    assert any(face is not None and face.irises is not None for face in limited)
    for all_of_it, some in zip(everything, limited, strict=True):
        assert all_of_it is not None
        assert some is not None
        np.testing.assert_array_equal(some.lids, all_of_it.lids)
        if some.irises is not None:
            np.testing.assert_array_equal(some.irises, all_of_it.irises)
        elif all_of_it.irises is not None:
            ears = eye_sample(0, all_of_it)
            assert min(ears.ear_left or 0, ears.ear_right or 0) >= 0.15 - 1e-4


def test_the_eye_aspect_ratio_of_a_contour_is_that_of_the_sample(
    seen_by: tuple[FaceTracker, list[Watched]], portrait: Portrait
) -> None:
    tracker, _ = seen_by
    for openness in [(1.0, 1.0), (0.3, 1.0), (1.0, 0.3)]:
        face = settled(tracker, portrait.frame(openness, rotation_deg=10, scale=1.2))
        sample = eye_sample(0, face)
        assert sample.ear_left is not None
        assert sample.ear_right is not None
        least = min(sample.ear_left, sample.ear_right)
        assert Contours(face.lids).least_ear() == pytest.approx(least, rel=1e-5)


def test_a_contour_without_width_is_shut() -> None:
    assert Contours(np.zeros((2, 16, 2), np.float32)).least_ear() == 0.0


class Everything:
    """A tracker that computes the irises of open eyes, too."""

    def __init__(self, tracker: FaceTracker) -> None:
        self._tracker = tracker

    def find(self, frame: Frame, _irises_below: float = math.inf) -> FaceLandmarks | None:
        return self._tracker.find(frame)

    def reset(self) -> None:
        self._tracker.reset()


def measured(tracker: Tracker, shown: Iterable[Frame]) -> dict[str, Any]:
    """What a session says of these frames."""
    recording = Recording(tracker, Clock(), camera={}, agent={})
    for frame in shown:
        recording.add(frame)
    document = recording.finish("command")
    return {name: document[name] for name in ("metrics", "quality", "minutes", "blinks")}


def looking_down(portrait: Portrait) -> Iterator[Frame]:
    """Blinks, a look down of two seconds, and shut eyes."""
    for n in range(14 * FPS):
        time_s = n / FPS
        opened = 0.0 if time_s % 3 < 0.15 or 11 <= time_s < 12.2 else 1.0
        down = 1.0 if 7 <= time_s < 9 else 0.0
        yield Frame(time_s, portrait.frame(opened, gaze_down=down))


def test_a_session_says_the_same_with_a_fraction_of_them(
    seen_by: tuple[FaceTracker, list[Watched]], portrait: Portrait
) -> None:
    tracker, models = seen_by
    expected = measured(Everything(tracker), looking_down(portrait))
    assert expected["metrics"]["looking_down"] > 0.05
    assert expected["metrics"]["long_closure_count"] == 1
    all_of_them = models[0].runs
    assert measured(tracker, looking_down(portrait)) == expected
    assert models[0].runs - all_of_them < 0.5 * all_of_them


@pytest.mark.slow
@pytest.mark.parametrize("name", ["WolfgangLanger_Pexels", "single_face"])
def test_a_session_of_a_real_face_says_the_same(
    tracker: FaceTracker, clips: Path, name: str
) -> None:
    path = clips / f"{name}.mp4"
    expected = measured(Everything(tracker), frames_of(ReplayCamera(path)))
    assert measured(tracker, frames_of(ReplayCamera(path))) == expected
