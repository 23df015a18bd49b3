"""Looking down or shut: decisions from iris and lower lid, and their effect on a session."""

from dataclasses import replace

import pytest

from agent.measure.dips import MAX_GAP_S
from agent.measure.gaze import (
    BLOCK_S,
    DOWN_IRIS,
    DOWN_LID,
    KEEP_STRETCHES,
    MAX_UNSEEN_S,
    MEMORY_BLOCKS,
    MIN_STRETCH_S,
    OPEN_CLOSURE,
    SHUT_IRIS,
    Gaze,
    Kind,
    Stretch,
)
from agent.records import EyeSample
from tests.agent.measure.lids_seen import BETWEEN, CLOSED, DOWN, FPS, OPEN_LID, Seen
from tests.agent.traces import sample


def frame(time_s: float, seen: Seen) -> EyeSample:
    return replace(sample(time_s, 0.05), iris=seen[0], lower_lid=seen[1])


def open_eyes(gaze: Gaze, duration_s: float, lid: float = OPEN_LID, start_s: float = 0.0) -> None:
    for k in range(round(duration_s * FPS)):
        gaze.add(frame(start_s + k / FPS, (-0.06, lid)), 0.0, False, 1 / FPS, 0)


def lower(gaze: Gaze, duration_s: float, seen: Seen, start_s: float = 100.0) -> None:
    """Closed lids from the first frame to the last one, `duration_s` apart."""
    for k in range(round(duration_s * FPS) + 1):
        gaze.add(frame(start_s + k / FPS, seen), 1.0, True, 1 / FPS, 0)


def kind_of(seen: Seen, duration_s: float = 1.0, lid: float | None = OPEN_LID) -> Kind:
    gaze = Gaze()
    if lid is not None:
        open_eyes(gaze, 3.0, lid)
    lower(gaze, duration_s, seen)
    ended = gaze.end()
    assert ended is not None
    return ended[1]


# What a stretch is


@pytest.mark.parametrize(("seen", "kind"), [(DOWN, "down"), (CLOSED, "shut"), (BETWEEN, "unclear")])
def test_the_iris_tells_looking_down_from_shut(seen: Seen, kind: str) -> None:
    assert kind_of(seen) == kind


def test_irises_as_they_were_seen_are_told_apart() -> None:
    """0.03 to 0.06 of the eye's width below the corners looking down, at most 0.02 shut."""
    assert kind_of((0.045, 0.07)) == "down"
    assert kind_of((0.0, 0.03)) == "shut"
    assert kind_of((0.02, 0.03)) == "shut"


def test_a_raised_lower_lid_is_not_looking_down() -> None:
    assert kind_of((DOWN[0], 0.3 * OPEN_LID)) == "unclear"
    assert kind_of((CLOSED[0], OPEN_LID)) == "shut"


@pytest.mark.parametrize(
    ("iris", "kind"),
    [
        (SHUT_IRIS, "shut"),
        (SHUT_IRIS + 1e-9, "unclear"),
        (DOWN_IRIS - 1e-9, "unclear"),
        (DOWN_IRIS, "down"),
    ],
)
def test_the_iris_position_decides_between_down_and_shut(iris: float, kind: str) -> None:
    assert one_frame_at(iris, OPEN_LID) == kind


@pytest.mark.parametrize(("share", "kind"), [(DOWN_LID, "down"), (DOWN_LID - 1e-9, "unclear")])
def test_the_lower_lid_is_compared_with_its_open_place(share: float, kind: str) -> None:
    assert one_frame_at(DOWN_IRIS + 0.01, share * 0.5, open_lid=0.5) == kind


def one_frame_at(iris: float, lid: float, open_lid: float = OPEN_LID) -> Kind:
    """What a stretch is whose second frame alone has a weight, of 1 s: nothing is rounded."""
    gaze = Gaze()
    open_eyes(gaze, 3.0, open_lid)
    gaze.add(frame(100.0, (iris, lid)), 1.0, True, 0.0, 0)
    for k in range(1, 3):
        gaze.add(frame(100.0 + 0.2 * k, (iris, lid)), 1.0, True, float(k == 1), 0)
    ended = gaze.end()
    assert ended is not None
    return ended[1]


def test_where_the_open_place_of_the_lower_lid_is_unknown_the_iris_decides() -> None:
    assert kind_of((DOWN[0], 0.0), lid=None) == "down"
    assert kind_of(CLOSED, lid=None) == "shut"


def test_a_stretch_shorter_than_a_gaze_rests_is_shut_whatever_the_iris_does() -> None:
    frames = int(MIN_STRETCH_S * FPS)
    assert kind_of(DOWN, frames / FPS) == "shut"
    assert kind_of((None, None), frames / FPS) == "shut"
    assert kind_of(DOWN, (frames + 1) / FPS) == "down"


def test_a_stretch_of_just_that_length_is_long_enough() -> None:
    gaze = Gaze()
    for time_s in (0.0, MIN_STRETCH_S / 2, MIN_STRETCH_S):
        gaze.add(frame(time_s, DOWN), 1.0, True, 0.1, 0)
    ended = gaze.end()
    assert ended is not None
    assert ended[1] == "down"


@pytest.mark.parametrize("seen", [(None, None), (None, OPEN_LID), (DOWN[0], None)])
def test_without_an_iris_or_a_lower_lid_it_is_unclear(seen: Seen) -> None:
    assert kind_of(seen) == "unclear"


@pytest.mark.parametrize(("seen", "kind"), [(DOWN, "down"), (CLOSED, "shut")])
def test_an_iris_in_every_third_frame_is_enough(seen: Seen, kind: str) -> None:
    gaze = Gaze()
    open_eyes(gaze, 3.0)
    for k in range(33):
        gaze.add(frame(100 + k / FPS, seen if k % 3 == 0 else (None, 0.0)), 1.0, True, 1 / FPS, 0)
    ended = gaze.end()
    assert ended is not None
    assert ended[1] == kind


def test_a_seen_iris_stands_for_the_time_since_the_last_one() -> None:
    gaze = Gaze()
    gaze.add(frame(100.0, (1.0, 4.0)), 1.0, True, 0.125, 0)
    for k in (1, 2):
        gaze.add(frame(100 + k / 8, (None, 9.0)), 1.0, True, 0.125, 0)
    gaze.add(frame(100.375, (2.0, 1.0)), 1.0, True, 0.125, 0)
    gaze.add(frame(100.5, (None, 9.0)), 1.0, True, 0.125, 0)
    under_way = gaze.under_way()
    assert under_way is not None
    stretch = under_way[0]
    assert (stretch.iris, stretch.lid) == (0.125 + 3 * 0.125 * 2.0, 4 * 0.125 + 3 * 0.125)
    assert (stretch.seen_s, stretch.unseen_s, stretch.longest_unseen_s) == (0.5, 0.125, 0.25)


@pytest.mark.parametrize(("frames", "kind"), [(8, "down"), (9, "unclear")])
def test_an_iris_unseen_for_longer_makes_a_stretch_unclear(frames: int, kind: str) -> None:
    assert frames / FPS == pytest.approx(MAX_UNSEEN_S, abs=1 / FPS)
    gaze = Gaze()
    open_eyes(gaze, 3.0)
    for k in range(33):
        seen = (None, None) if 10 <= k < 10 + frames else DOWN
        gaze.add(frame(100 + k / FPS, seen), 1.0, True, 1 / FPS, 0)
    ended = gaze.end()
    assert ended is not None
    assert ended[1] == kind


def test_without_any_valid_time_it_is_unclear() -> None:
    gaze = Gaze()
    for k in range(9):
        gaze.add(frame(k / 8, DOWN), 1.0, True, 0.0, 0)
    under_way = gaze.under_way()
    assert under_way is not None
    assert under_way[1] == "unclear"


def test_frames_are_weighted_by_valid_time() -> None:
    gaze = Gaze()
    open_eyes(gaze, 3.0)
    for k in range(8):
        seen, weight_s = (CLOSED, 1.0) if k == 4 else (DOWN, 0.001)
        gaze.add(frame(100 + k / 8, seen), 1.0, True, weight_s, 0)
    ended = gaze.end()
    assert ended is not None
    assert ended[1] == "shut"


# Where a stretch begins and ends


def test_a_stretch_lasts_from_its_first_frame_to_its_last() -> None:
    gaze = Gaze()
    lower(gaze, 2.0, DOWN, start_s=50.0)
    under_way = gaze.under_way()
    assert under_way is not None
    assert (under_way[0].start_s, under_way[0].end_s) == (50.0, 52.0)
    assert under_way[0].duration_s == 2.0


def test_it_ends_with_the_first_open_frame() -> None:
    gaze = Gaze()
    lower(gaze, 1.0, DOWN)
    ended = gaze.add(frame(101.0 + 1 / FPS, DOWN), 0.5, False, 1 / FPS, 0)
    assert ended is not None
    assert ended[0].end_s == 101.0
    assert ended[1] == "down"
    assert gaze.under_way() is None
    assert gaze.end() is None


@pytest.mark.parametrize(("gap_s", "stretches"), [(MAX_GAP_S, 1), (MAX_GAP_S + 1 / 64, 2)])
def test_frames_too_far_apart_are_of_two_stretches(gap_s: float, stretches: int) -> None:
    gaze = Gaze()
    lower(gaze, 1.0, DOWN)
    ended = gaze.add(frame(101.0 + gap_s, DOWN), 1.0, True, gap_s, 0)
    assert (ended is not None) == (stretches == 2)
    under_way = gaze.under_way()
    assert under_way is not None
    assert under_way[0].start_s == (100.0 if stretches == 1 else 101.0 + gap_s)


def test_open_eyes_end_nothing() -> None:
    gaze = Gaze()
    assert gaze.add(frame(0.0, DOWN), 0.0, False, 0.1, 0) is None
    assert gaze.under_way() is None


def test_valid_seconds_are_kept_by_minute() -> None:
    gaze = Gaze()
    for k, minute in enumerate([4, 4, 5, 5, 5, 6]):
        gaze.add(frame(k / 8, DOWN), 1.0, True, 0.125, minute)
    ended = gaze.end()
    assert ended is not None
    assert ended[0].weights == {4: 0.25, 5: 0.375, 6: 0.125}


def test_seen_is_whether_an_iris_was_ever_seen() -> None:
    gaze = Gaze()
    gaze.add(frame(0.0, (None, 0.1)), 0.0, False, 0.1, 0)
    assert not gaze.seen
    gaze.add(frame(0.1, (-0.06, 0.1)), 0.0, False, 0.1, 0)
    gaze.add(frame(0.2, (None, 0.1)), 0.0, False, 0.1, 0)
    assert gaze.seen


# The lower lid's open place


def place_decides(gaze: Gaze, lid: float, start_s: float = 500.0) -> bool:
    """Whether `lid` is low enough to look down by, without teaching anything."""
    lower(gaze, 1.0, (DOWN[0], lid), start_s)
    ended = gaze.end()
    assert ended is not None
    return ended[1] == "down"


def test_the_open_place_is_a_median_of_medians() -> None:
    gaze = Gaze()
    for k, lid in enumerate([0.08, 0.08, 0.4, 0.08, 0.01]):
        open_eyes(gaze, BLOCK_S, lid, start_s=k * BLOCK_S)
    open_eyes(gaze, 1 / FPS, start_s=5 * BLOCK_S)
    assert place_decides(gaze, 1.01 * DOWN_LID * 0.08)
    assert not place_decides(gaze, 0.99 * DOWN_LID * 0.08, start_s=600)


def test_within_a_block_the_middle_one_stands_for_it() -> None:
    gaze = Gaze()
    for k, lid in enumerate([0.01, 0.08, 0.4]):
        gaze.add(frame(k / 8, (-0.06, lid)), 0.0, False, 0.125, 0)
    gaze.add(frame(BLOCK_S, (-0.06, 9.0)), 0.0, False, 0.125, 0)
    assert place_decides(gaze, 1.01 * DOWN_LID * 0.08)
    assert not place_decides(gaze, 0.99 * DOWN_LID * 0.08, start_s=600)


def test_a_block_is_closed_by_the_first_frame_after_it() -> None:
    gaze = Gaze()
    open_eyes(gaze, BLOCK_S, 0.5)
    assert place_decides(gaze, 0.0), "the place is unknown before a block has ended"
    gaze.add(frame(BLOCK_S, (-0.06, 0.5)), 0.0, False, 0.1, 0)
    assert not place_decides(gaze, 0.0, start_s=600)


def test_the_open_place_follows_within_its_memory() -> None:
    assert (MEMORY_BLOCKS, BLOCK_S) == (40, 0.5)
    gaze = Gaze()
    open_eyes(gaze, MEMORY_BLOCKS * BLOCK_S, 0.3)
    open_eyes(gaze, (MEMORY_BLOCKS // 2 + 2) * BLOCK_S, 0.08, start_s=100.0)
    assert place_decides(gaze, DOWN_LID * 0.08 + 1e-6)


@pytest.mark.parametrize(("closure", "learned"), [(OPEN_CLOSURE, False), (0.29, True)])
def test_only_lids_that_are_up_show_the_open_place(closure: float, learned: bool) -> None:
    assert OPEN_CLOSURE == 0.3
    gaze = Gaze()
    for k in range(64):
        gaze.add(frame(k / FPS, (-0.06, 0.5)), closure, False, 1 / FPS, 0)
    assert place_decides(gaze, 0.1) != learned


def test_frames_without_a_lower_lid_teach_nothing() -> None:
    gaze = Gaze()
    for k in range(64):
        gaze.add(frame(k / FPS, (-0.06, None)), 0.0, False, 1 / FPS, 0)
    assert place_decides(gaze, 0.0)


# Whether a closure was a look down


def after(*stretches: tuple[float, float, Seen]) -> Gaze:
    gaze = Gaze()
    open_eyes(gaze, 3.0)
    for start_s, duration_s, seen in stretches:
        lower(gaze, duration_s, seen, start_s)
        gaze.end()
    return gaze


def test_a_closure_was_down_if_most_of_it_was() -> None:
    gaze = after((10.0, 2.0, DOWN), (13.0, 1.0, CLOSED))
    assert gaze.was_down(9.5, 14.5)
    assert gaze.was_down(10.0, 12.0)
    assert not gaze.was_down(13.0, 14.0)
    assert not gaze.was_down(11.5, 14.5)


def test_half_of_it_is_not_most() -> None:
    gaze = after((10.0, 1.0, DOWN), (12.0, 1.0, CLOSED))
    assert not gaze.was_down(10.0, 13.0)
    assert gaze.was_down(10.0, 12.75)


def test_unclear_time_counts_as_shut() -> None:
    assert not after((10.0, 1.0, DOWN), (12.0, 1.0, BETWEEN)).was_down(9.0, 14.0)


def test_a_time_without_closed_lids_was_no_look_down() -> None:
    gaze = after((10.0, 2.0, DOWN))
    assert not gaze.was_down(12.5, 14.0)
    assert not gaze.was_down(8.0, 10.0)
    assert not gaze.was_down(12.0, 14.0)


def test_a_stretch_outside_a_closure_does_not_count_for_it() -> None:
    gaze = after((10.0, 1.0, DOWN), (11.5, 0.5, CLOSED), (13.0, 0.75, DOWN))
    assert gaze.was_down(12.5, 14.0)
    assert not gaze.was_down(11.4, 12.2)


def test_the_current_stretch_counts_too() -> None:
    gaze = Gaze()
    open_eyes(gaze, 3.0)
    lower(gaze, 2.0, DOWN, start_s=10.0)
    assert gaze.was_down(10.5, 11.5)


def test_the_newest_stretches_are_kept() -> None:
    assert KEEP_STRETCHES == 8
    looks = [(10.0 + 2 * k, 1.0, DOWN) for k in range(9)]
    gaze = after(*looks)
    assert not gaze.was_down(10.0, 11.0)
    assert gaze.was_down(12.0, 13.0)


def test_a_stretch_starts_with_nothing_in_it() -> None:
    stretch = Stretch(3.0, 3.0)
    assert (stretch.iris, stretch.lid, stretch.seen_s, stretch.weights) == (0.0, 0.0, 0.0, {})
    assert (stretch.unseen_s, stretch.longest_unseen_s) == (0.0, 0.0)
