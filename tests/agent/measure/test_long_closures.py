"""Long closures: each transition of `LID_STATES`, with lids that move in steps."""

from collections.abc import Iterator, Sequence

import pytest

from agent.measure.blinks import (
    FLUTTER_S,
    LID_EVENTS,
    LID_STATES,
    LONG_S,
    MAX_DROOP_S,
    REOPENED,
    LidEvent,
    LidState,
    LongClosures,
)
from agent.measure.dips import MAX_GAP_S, SHUT
from agent.measure.levels import Levels
from agent.records import Blink

STEP_S = 1 / 64
"""A power of two: times are exact."""

OPEN, HALF, DOWN = 0.0, 0.6, 1.0


class Known(Levels):
    """Levels that were learned long ago: an EAR of 1 is open, of 0 shut, exactly."""

    def closure(self, ear: float) -> float:
        """As the lids are."""
        return 1 - ear


def ended(*moves: tuple[float | None, int], start_s: float = 0.0) -> list[Blink]:
    """The closures of lids that are so far down, `None` without a face, for so many frames."""
    closures = LongClosures(Known())
    found = (
        closures.add(start_s + frame * STEP_S, None if down is None else 1 - down)
        for frame, down in enumerate(_frames(moves))
    )
    return [closure for closure in found if closure is not None]


def _frames(moves: Sequence[tuple[float | None, int]]) -> Iterator[float | None]:
    for down, frames in moves:
        yield from [down] * frames


INTO: dict[LidState, Sequence[tuple[float | None, int]]] = {
    "lost": [(None, 1)],
    "open": [(None, 1), (OPEN, 16)],
    "shut": [(None, 1), (OPEN, 16), (DOWN, 16)],
}
HAPPENS: dict[LidEvent, Sequence[tuple[float | None, int]]] = {
    "reopened": [(OPEN, 1)],
    "between": [(HALF, 1)],
    "shut": [(DOWN, 1)],
    "slow": [(HALF, 2 + int(MAX_DROOP_S / STEP_S))],
    "unseen": [(None, 1)],
    "blink": [],
}


@pytest.mark.parametrize("event", LID_EVENTS)
@pytest.mark.parametrize("state", LID_STATES)
def test_the_lids_follow_the_table(state: LidState, event: LidEvent) -> None:
    closures = LongClosures(Known())
    for frame, down in enumerate(_frames([*INTO[state], *HAPPENS[event]])):
        closures.add(frame * STEP_S, None if down is None else 1 - down)
    if event == "blink":
        closures.was_open_at(frame * STEP_S)
    assert closures._lids == LID_STATES[state][event]


@pytest.mark.parametrize("start_s", [0.0, 1000.0])
def test_a_closure_lasts_from_half_way_down_to_half_way_up(start_s: float) -> None:
    (closure,) = ended((OPEN, 16), (DOWN, 64), (OPEN, 16), start_s=start_s)
    assert closure.duration_s == pytest.approx(64 * STEP_S)
    assert closure.start_s == start_s + 16 * STEP_S
    assert closure.end_s == start_s + 79 * STEP_S
    assert (closure.amplitude, closure.complete, closure.long) == (1.0, True, True)


def test_lids_are_shut_for_half_a_second_at_least() -> None:
    """From four fifths down to four fifths: 0.6 of a frame longer, as they fall and rise in one."""
    assert (LONG_S, SHUT, REOPENED) == (0.5, 0.8, 0.5)
    assert len(ended((OPEN, 16), (DOWN, 33), (OPEN, 16))) == 1
    assert ended((OPEN, 16), (DOWN, 32), (OPEN, 16)) == []


def test_just_half_a_second_is_long() -> None:
    assert len(ended((OPEN, 16), (SHUT, 33), (OPEN, 16))) == 1
    assert ended((OPEN, 16), (SHUT, 32), (OPEN, 16)) == []


def test_lids_less_than_four_fifths_down_are_not_shut() -> None:
    assert ended((OPEN, 16), (SHUT - 1e-9, 99), (OPEN, 16)) == []
    assert len(ended((OPEN, 16), (SHUT, 99), (OPEN, 16))) == 1


def test_the_amplitude_is_the_deepest_and_at_most_one() -> None:
    (closure,) = ended((OPEN, 16), (0.85, 40), (0.9, 4), (0.85, 40), (OPEN, 16))
    assert closure.amplitude == pytest.approx(0.9)
    (first,) = ended((OPEN, 16), (0.95, 4), (0.85, 40), (OPEN, 16))
    assert first.amplitude == pytest.approx(0.95)
    (deeper,) = ended((OPEN, 16), (1.4, 40), (OPEN, 16))
    assert deeper.amplitude == 1.0


def test_lids_whose_fall_was_not_seen_have_no_closure() -> None:
    assert ended((DOWN, 99), (OPEN, 16)) == []
    assert ended((HALF, 16), (DOWN, 99), (OPEN, 16)) == []
    assert ended((OPEN, 16), (None, 1), (DOWN, 99), (OPEN, 16)) == []
    assert len(ended((DOWN, 99), (OPEN, 16), (DOWN, 99), (OPEN, 16))) == 1


def test_half_way_up_is_not_reopened() -> None:
    assert ended((REOPENED, 16), (DOWN, 99), (OPEN, 16)) == []
    assert len(ended((REOPENED - 1e-9, 16), (DOWN, 99), (OPEN, 16))) == 1


def test_a_face_that_is_lost_in_it_drops_it() -> None:
    assert ended((OPEN, 16), (DOWN, 64), (None, 1), (DOWN, 64), (OPEN, 16)) == []


@pytest.mark.parametrize(("gap_s", "found"), [(MAX_GAP_S, 1), (MAX_GAP_S + STEP_S, 0)])
def test_frames_that_are_missing_in_it_drop_it(gap_s: float, found: int) -> None:
    closures = LongClosures(Known())
    times = [k * STEP_S for k in range(64)]
    times += [times[-1] + gap_s + k * STEP_S for k in range(64)]
    downs = [OPEN] * 16 + [DOWN] * 96 + [OPEN] * 16
    events = [closures.add(t, 1 - down) for t, down in zip(times, downs, strict=True)]
    assert sum(event is not None for event in events) == found


def test_a_blink_that_began_within_it_drops_it() -> None:
    for was_open_s, found in [(15.9 / 64, 1), (16 / 64, 0), (40 / 64, 0)]:
        closures = LongClosures(Known())
        events = []
        for frame, down in enumerate([OPEN] * 16 + [DOWN] * 64 + [OPEN] * 16):
            events.append(closures.add(frame * STEP_S, 1 - down))
            if frame == 60:
                closures.was_open_at(was_open_s)
        assert sum(event is not None for event in events) == found, was_open_s


def test_a_blink_leaves_open_lids_armed() -> None:
    closures = LongClosures(Known())
    closures.add(0.0, 1.0)
    closures.was_open_at(0.0)
    events = [closures.add(STEP_S * k, float(k > 80)) for k in range(1, 99)]
    assert sum(event is not None for event in events) == 1


# Lids that move slowly

LONGEST = int(MAX_DROOP_S / STEP_S)
"""Frames that lids may rest half way."""


def test_lids_that_were_lowered_slowly_are_shut_from_where_they_were_shut() -> None:
    (quick,) = ended((OPEN, 16), (HALF, LONGEST - 1), (DOWN, 64), (OPEN, 16))
    assert quick.duration_s == pytest.approx((64 + LONGEST - 1) * STEP_S, abs=STEP_S)
    assert quick.start_s == 16 * STEP_S
    (slow,) = ended((OPEN, 16), (HALF, LONGEST + 2), (DOWN, 64), (OPEN, 16))
    assert slow.duration_s == pytest.approx(64 * STEP_S, abs=STEP_S)
    assert slow.start_s == (16 + LONGEST + 2) * STEP_S


def test_lids_that_rise_slowly_were_shut_until_they_rose() -> None:
    (quick,) = ended((OPEN, 16), (DOWN, 64), (HALF, LONGEST - 1), (OPEN, 16))
    assert quick.duration_s == pytest.approx((64 + LONGEST - 1) * STEP_S, abs=STEP_S)
    assert quick.end_s == (16 + 64 + LONGEST - 2) * STEP_S
    (slow,) = ended((OPEN, 16), (DOWN, 64), (HALF, LONGEST + 9), (OPEN, 16))
    assert slow.duration_s == pytest.approx(64 * STEP_S, abs=STEP_S)
    assert slow.end_s == (16 + 63) * STEP_S


def test_a_slow_rise_is_known_before_the_lids_are_up_and_arms_the_next() -> None:
    closures = LongClosures(Known())
    downs = [OPEN] * 16 + [DOWN] * 64 + [HALF] * 60 + [DOWN] * 64 + [OPEN] * 16
    events = [closures.add(frame * STEP_S, 1 - down) for frame, down in enumerate(downs)]
    ends = [frame for frame, event in enumerate(events) if event is not None]
    assert len(ends) == 2
    assert ends[0] == pytest.approx(80 + LONGEST, abs=1)
    assert ends[1] == len(downs) - 16


# Lids that flutter


def test_a_flutter_is_shut_time_and_a_longer_rest_is_not() -> None:
    """Two times that are too short: they are long together if a flutter is between them."""
    flutter, short = int(FLUTTER_S / STEP_S), (DOWN, 20)
    assert len(ended((OPEN, 16), short, (HALF, flutter - 1), short, (OPEN, 16))) == 1
    assert ended((OPEN, 16), short, (HALF, flutter + 1), short, (OPEN, 16)) == []


def test_the_longest_time_that_they_stay_shut_decides() -> None:
    rest = (HALF, 12)
    assert len(ended((OPEN, 16), (DOWN, 64), rest, (DOWN, 9), (OPEN, 16))) == 1
    assert len(ended((OPEN, 16), (DOWN, 9), rest, (DOWN, 64), (OPEN, 16))) == 1
    assert ended((OPEN, 16), (DOWN, 9), rest, (DOWN, 25), rest, (DOWN, 9), (OPEN, 16)) == []


def test_a_short_closure_before_it_adds_nothing() -> None:
    assert ended((OPEN, 16), (DOWN, 20), (OPEN, 16), (DOWN, 20), (OPEN, 16)) == []
    both = ended((OPEN, 16), (DOWN, 64), (OPEN, 16), (DOWN, 20), (OPEN, 16))
    assert len(both) == 1


# Just at the bounds


def at(*frames: tuple[float, float]) -> list[tuple[float, Blink]]:
    """The closures of lids that are so far down at those times, and when each is known."""
    closures = LongClosures(Known())
    told = [(time_s, closures.add(time_s, 1 - down)) for time_s, down in frames]
    return [(time_s, closure) for time_s, closure in told if closure is not None]


def held(down: float, start_s: float, frames: int) -> list[tuple[float, float]]:
    return [(start_s + k * STEP_S, down) for k in range(frames)]


def test_lids_that_flutter_for_a_tenth_of_a_second_stay_shut() -> None:
    before = held(OPEN, -30 * STEP_S, 10) + held(SHUT, -20 * STEP_S, 21)
    after = [*held(SHUT, 0.1, 21), (0.5, OPEN)]
    assert len(at(*before, (0.05, HALF), *after)) == 1


def test_lids_may_rest_half_way_up_for_just_so_long() -> None:
    shut, rest = held(SHUT, -64 * STEP_S, 65), [(0.2, HALF), (0.42, HALF)]
    ((known_s, _),) = at(*held(OPEN, -70 * STEP_S, 6), *shut, *rest, (0.5, OPEN))
    assert known_s == 0.5, "not while they rest"


def test_lids_may_rest_half_way_down_for_just_so_long() -> None:
    rest = [(-STEP_S, OPEN), (0.0, REOPENED), (0.25, REOPENED), (0.42, SHUT)]
    shut = held(SHUT, 0.42 + STEP_S, 64)
    ((_, closure),) = at(*rest, *shut, (1.5, OPEN))
    assert closure.start_s == 0.0
