"""One face is followed frame after frame, lost, and found again."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from agent.ear import eye_sample
from agent.face.crops import Affine
from agent.face.others import OTHERS_S
from agent.face.tracker import (
    CHECK_S,
    LOOK_S,
    RETRY_S,
    STILL_LOOK_S,
    SURE_LOGIT,
    FaceTracker,
)
from agent.records import Frame
from scripts.portrait import Portrait
from tests.agent.face.looks import EMPTY, FPS, Watched, frames, last_face, settled, two_faces

# The same face, frame after frame


def test_a_tracked_face_needs_no_detector(
    portrait: Portrait, watched: tuple[FaceTracker, Watched, Watched]
) -> None:
    tracker, finder, mesh = watched
    for number, frame in enumerate(frames(portrait.frame(1.0, shift=(n, 0)) for n in range(10))):
        assert tracker.find(frame) is not None
        assert finder.runs == 1 + (number >= 2)  # the second looks for other faces
    assert mesh.runs <= 6  # to find it, and turned and shaken; its eyes do without


def test_a_head_that_rolls_over_is_followed(portrait: Portrait, tracker: FaceTracker) -> None:
    for n in range(121):
        face = tracker.find(Frame(n / FPS, portrait.frame(1.0, rotation_deg=3 * n)))
        assert face is not None
        right, left = face.points[33], face.points[263]
        roll = math.degrees(math.atan2(left[1] - right[1], left[0] - right[0]))
        assert abs((roll - 3 * n - 3 + 180) % 360 - 180) < 6


def test_a_face_that_leaves_is_lost_in_the_same_frame(
    portrait: Portrait, tracker: FaceTracker
) -> None:
    settled(tracker, portrait.frame(1.0))
    assert tracker.find(Frame(1.0, EMPTY)) is None


def test_a_lost_face_is_found_again_soon(portrait: Portrait, tracker: FaceTracker) -> None:
    settled(tracker, portrait.frame(1.0))
    assert last_face(tracker, [EMPTY] * 20) is None
    found = [
        tracker.find(frame) is not None for frame in frames([portrait.frame(1.0)] * 10, start_s=1.0)
    ]
    assert found.index(True) / FPS <= RETRY_S
    assert all(found[found.index(True) :])


def test_an_empty_room_costs_ten_detections_a_second(
    watched: tuple[FaceTracker, Watched, Watched],
) -> None:
    tracker, finder, mesh = watched
    for frame in frames([EMPTY] * (3 * FPS)):
        assert tracker.find(frame) is None
    assert 2 * 25 <= finder.runs <= 2 * 30  # everywhere, and a part of the picture in turn
    assert mesh.runs == 0


def test_a_face_that_flickers_does_not_wake_the_detector_more_often(
    portrait: Portrait, watched: tuple[FaceTracker, Watched, Watched]
) -> None:
    tracker, finder, _ = watched
    pictures = [portrait.frame(1.0), EMPTY] * FPS
    for frame in frames(pictures):
        tracker.find(frame)
    assert finder.runs <= 3 * 2 * 10 + 1


def test_a_session_keeps_to_the_face_it_began_with(
    portrait: Portrait, tracker: FaceTracker
) -> None:
    first = last_face(tracker, [two_faces(portrait, left=0.45, right=0)] * 3)
    assert first is not None
    assert first.points[1, 0] < 320
    # A second, larger face comes, the first is covered for a second, and comes back.
    shown = [two_faces(portrait, 0.45, 0.6)] * 15
    covered = [two_faces(portrait, 0, 0.6)] * 30
    seen = [tracker.find(f) for f in frames(shown + covered + shown, start_s=1.0)]
    assert all(face.points[1, 0] < 320 for face in seen if face is not None)
    assert all(face is not None for face in seen[:15] + seen[-10:])
    assert all(face is None for face in seen[16:45])


def test_after_a_while_another_face_may_take_its_place(
    portrait: Portrait, tracker: FaceTracker
) -> None:
    last_face(tracker, [two_faces(portrait, 0.45, 0)] * 3)
    others = [
        tracker.find(Frame(1.0 + n / 10, two_faces(portrait, 0, 0.45))) is not None
        for n in range(70)
    ]
    assert not any(others[:25])
    assert all(others[60:])


def test_a_face_of_another_size_is_another_face_for_five_seconds(
    portrait: Portrait, tracker: FaceTracker
) -> None:
    last_face(tracker, [two_faces(portrait, 0.42, 0)] * 3)
    larger = two_faces(portrait, 0, 1.0)
    seen = [tracker.find(Frame(1.0 + n / 10, larger)) is not None for n in range(60)]
    assert not any(seen[:40])
    assert all(seen[45:])


def test_a_new_session_begins_with_the_largest_face(
    portrait: Portrait, tracker: FaceTracker
) -> None:
    last_face(tracker, [two_faces(portrait, 0.45, 0)] * 3)
    tracker.reset()
    face = last_face(tracker, [two_faces(portrait, 0.45, 0.6)] * 2)
    assert face is not None
    assert face.points[1, 0] > 320


# Not alone, not still


@pytest.mark.parametrize(("right", "others"), [(0.0, False), (0.15, False), (0.5, True)])
def test_another_face_in_the_picture_is_noticed_if_it_is_about_as_near(
    portrait: Portrait, tracker: FaceTracker, right: float, others: bool
) -> None:
    picture = two_faces(portrait, 0.55, right)
    found = [tracker.find(frame) for frame in frames([picture] * 10)]
    looked = [face.others for face in found if face and face.others is not None]
    assert looked == [others]


def test_others_are_looked_for_every_five_seconds(portrait: Portrait, tracker: FaceTracker) -> None:
    picture = portrait.frame(1.0)
    found = [tracker.find(Frame(n / 10, picture)) for n in range(int(20 * OTHERS_S / 10) * 10 // 2)]
    assert sum(face is not None and face.others is not None for face in found) == 1 + len(
        found
    ) // int(10 * OTHERS_S + 1)


@pytest.mark.parametrize("before", [4, 10, 13, 14, 15, 16])  # also amid the second look
def test_after_a_jump_cut_the_eyes_are_right_in_the_same_frame(
    portrait: Portrait, new_tracker: Callable[[], FaceTracker], before: int
) -> None:
    tracker = new_tracker()
    last_face(tracker, [portrait.frame(1.0)] * before)
    cut = portrait.frame(1.0, shift=(25, 18), rotation_deg=8)
    jumped = tracker.find(Frame(before / FPS, cut))
    expected = settled(new_tracker(), cut)
    assert jumped is not None
    assert np.abs(jumped.lids - expected.lids).max() < 3


def test_a_look_is_spread_over_frames_and_finds_the_same(
    portrait: Portrait, watched: tuple[FaceTracker, Watched, Watched]
) -> None:
    """The trunk runs once in each `STILL_LOOK_S`. A camera that stalls costs a look at once."""
    tracker, _, trunk = watched
    first = settled(tracker, portrait.frame(1.0))
    begun, seconds = trunk.runs, 4
    for n in range(3, seconds * FPS):
        face = tracker.find(Frame(n / FPS, portrait.frame(1.0)))
        assert face is not None
        assert np.abs(face.lids - first.lids).max() < 1.5
        assert np.abs(face.points - first.points).max() < 6
    assert trunk.runs - begun == pytest.approx(seconds / STILL_LOOK_S, abs=2)
    begun = trunk.runs
    for n in range(20):
        assert tracker.find(Frame(seconds + 2 * n * STILL_LOOK_S, portrait.frame(1.0))) is not None
    assert trunk.runs - begun >= 19


def test_a_face_that_moves_is_looked_at_twice_as_often(
    portrait: Portrait, watched: tuple[FaceTracker, Watched, Watched]
) -> None:
    tracker, _, trunk = watched
    seconds, there_and_back = 4, [abs(n % 60 - 30) for n in range(4 * FPS)]
    settled(tracker, portrait.frame(1.0, shift=(30, 0)))
    begun = trunk.runs
    for n, x in enumerate(there_and_back):
        assert tracker.find(Frame(0.1 + n / FPS, portrait.frame(1.0, shift=(x, 0)))) is not None
    assert trunk.runs - begun == pytest.approx(seconds / LOOK_S, abs=2)


def test_who_is_gone_by_the_time_the_mesh_is_drawn_is_not_seen(
    portrait: Portrait, new_tracker: Callable[[], FaceTracker]
) -> None:
    for before in range(10, 18):
        tracker = new_tracker()
        last_face(tracker, [portrait.frame(1.0)] * before)
        assert tracker.find(Frame(before / FPS, EMPTY)) is None


def test_eyes_are_not_lost_on_a_head_that_wanders_off_slowly(
    portrait: Portrait, new_tracker: Callable[[], FaceTracker]
) -> None:
    tracker, seconds = new_tracker(), 6
    for n in range(seconds * FPS):
        moved = portrait.frame(1.0, shift=(n * 0.8 - 70, n * 0.3 - 20), rotation_deg=n / 12)
        face = tracker.find(Frame(n / FPS, moved))
        assert face is not None
    assert np.abs(face.lids - settled(new_tracker(), moved).lids).max() < 2.5


def test_shut_eyes_do_not_carry_the_crop_off_between_two_looks(
    portrait: Portrait, tracker: FaceTracker
) -> None:
    last_face(tracker, [portrait.frame(1.0)] * 3)
    shut = portrait.frame(0.0)
    faces = [tracker.find(Frame(0.1 + n / FPS, shut)) for n in range(int(LOOK_S * FPS) - 4)]
    first, last = faces[2], faces[-1]
    assert first is not None
    assert last is not None
    ears = [eye_sample(0, face).ear for face in (first, last)]
    assert ears[0] == pytest.approx(ears[1], abs=0.02)
    assert np.abs(first.lids - last.lids).max() < 6


def test_who_walks_away_and_comes_back_is_measured_again(
    portrait: Portrait, tracker: FaceTracker
) -> None:
    steps = [0, 60, 120, 180, 240, 300, 600, 600, 600, 300, 240, 180, 120, 60, 0, 0, 0, 0]
    pictures = [portrait.frame(1.0, shift=(x, 0)) for x in steps for _ in range(6)]
    seen = [tracker.find(frame) for frame in frames(pictures)]
    assert seen[0] is not None
    assert seen[-1] is not None
    assert all(face is None for face in seen[38:52])


# A face that the trunk is not sure of


def test_the_longer_a_face_is_confirmed_the_less_often_it_is_checked(
    portrait: Portrait, watched: tuple[FaceTracker, Watched, Watched], monkeypatch: Any
) -> None:
    tracker, _, trunk = watched
    trunk.change = lambda outputs: outputs[1].fill(SURE_LOGIT - 4)
    picture, times = portrait.frame(1.0), list[float]()
    see = tracker._mesh.see

    def noted(frame: Frame, to_frame: Affine) -> None:
        times.append(frame.time_s)
        see(frame, to_frame)

    monkeypatch.setattr(tracker._mesh, "see", noted)
    for number in range(200):
        assert tracker.find(Frame(number / 10, picture)) is not None
    between = np.diff(sorted(set(times)))
    assert len(between) >= 5
    assert (between[1:5] >= [1.0, 2.0, 4.0, 4.0]).all(), between
    assert (between[1:5] <= np.array([1.0, 2.0, 4.0, 4.0]) + 2 * STILL_LOOK_S).all(), between


def test_after_a_jump_even_a_face_that_was_confirmed_often_is_checked_soon(
    portrait: Portrait, watched: tuple[FaceTracker, Watched, Watched], monkeypatch: Any
) -> None:
    tracker, _, trunk = watched
    trunk.change = lambda outputs: outputs[1].fill(SURE_LOGIT - 4)
    here, there = portrait.frame(1.0), portrait.frame(1.0, shift=(40, 0))
    times = list[float]()
    for number in range(85):  # the last confirmation was at 8.4 s
        assert tracker.find(Frame(number / 10, here)) is not None
    see = tracker._mesh.see

    def noted(frame: Frame, to_frame: Affine) -> None:
        times.append(frame.time_s)
        see(frame, to_frame)

    monkeypatch.setattr(tracker._mesh, "see", noted)
    for number in range(85, 85 + 20):
        assert tracker.find(Frame(number / 10, there)) is not None
    assert times[0] == 8.5  # the picture jumps, so the whole face is looked at
    checked_s = min(time_s for time_s in times if time_s > 8.5)
    assert CHECK_S <= checked_s - 8.5 <= CHECK_S + 2 * LOOK_S
