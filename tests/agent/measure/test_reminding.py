"""When the light asks for blinks: only if the rate is known and stays below the bound."""

from itertools import pairwise
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.measure.quality import Flag
from agent.measure.reminding import (
    ASK_S,
    HIDING,
    LASTS_S,
    LOOK_S,
    PAUSE_S,
    SPAN_S,
    TABLE,
    WINDOW_S,
    Event,
    Reminding,
    State,
    Tally,
    tally,
)
from agent.measure.session import SessionBuilder
from tests.agent.traces import Camera, Lids, without_face

BOUND = 8.0


class Seconds:
    """A session second by second: how much of each is valid, and its blinks; None if unknown."""

    def __init__(self, bound: float | None = BOUND) -> None:
        self.reminding = Reminding()
        self.reminding.remind_below(bound)
        self.time_s = self.valid_s = 0.0
        self.blinks = 0.0
        self.asked: list[float] = []

    def go(self, seconds: float, per_min: float | None, seen: float = 1.0) -> None:
        """Go on for so long with this rate, the eyes seen for a share of each second."""
        for _ in range(round(seconds)):
            self.time_s += LOOK_S
            self.valid_s += seen
            self.blinks += seen * (per_min or 0.0) / 60
            count = None if per_min is None else int(self.blinks + 1e-6)
            if self.reminding.due(self.time_s):
                self.reminding.look(self.time_s, Tally(self.valid_s, count))
            if self.reminding.asking:
                self.asked.append(self.time_s)


def test_it_asks_after_three_minutes_below_the_bound_for_as_long_as_it_says() -> None:
    session = Seconds()
    session.go(WINDOW_S + PAUSE_S, per_min=4)
    assert session.asked == [WINDOW_S + 1 + second for second in range(int(ASK_S))]
    (reminder,) = session.reminding.reminders
    assert (reminder.at_s, reminder.rate_before_per_min) == (WINDOW_S + 1, 4.0)


def test_at_the_bound_it_does_not_ask_and_off_it_never_does() -> None:
    session = Seconds()
    session.go(900, per_min=BOUND)
    assert session.asked == []
    session = Seconds(bound=None)
    session.go(900, per_min=0)
    assert session.asked == []
    assert session.reminding.state == "off"


def test_how_the_rate_was_after_does_not_count_the_blinks_that_were_asked_for() -> None:
    session = Seconds()
    session.go(WINDOW_S + 1, per_min=4)
    session.go(ASK_S, per_min=60)
    session.go(WINDOW_S, per_min=12)
    assert session.reminding.reminders[0].rate_after_per_min is None
    session.go(1, per_min=12)
    assert session.reminding.reminders[0].rate_after_per_min == pytest.approx(12, abs=0.4)


def test_how_the_rate_was_after_is_not_known_if_the_eyes_were_not_seen() -> None:
    session = Seconds()
    session.go(WINDOW_S + 1, per_min=4)
    session.go(ASK_S + PAUSE_S, per_min=4, seen=0.3)
    session.go(900, per_min=20)
    assert session.reminding.reminders[0].rate_after_per_min is None


def test_three_minutes_in_which_much_was_unseen_are_no_rate() -> None:
    session = Seconds()
    session.go(1800, per_min=0, seen=WINDOW_S / SPAN_S - 0.02)
    assert session.asked == []
    session.go(SPAN_S, per_min=0, seen=WINDOW_S / SPAN_S + 0.02)
    assert session.asked


@given(
    st.lists(
        st.tuples(
            st.integers(1, 400),
            st.none() | st.floats(0, 40),
            st.floats(0, 1),
            st.none() | st.floats(1, 30),
        ),
        max_size=12,
    )
)
def test_whatever_happens_it_pauses_between_two_requests_and_knew_the_rate(
    parts: list[tuple[int, float | None, float, float | None]],
) -> None:
    session = Seconds(bound=None)
    bounds: list[tuple[float, float | None]] = []
    unknown: list[float] = []
    for seconds, per_min, seen, bound in parts:
        bounds.append((session.time_s, bound))
        session.reminding.remind_below(bound)
        if per_min is None:
            unknown.append(session.time_s + 1)
        session.go(seconds, per_min, seen)
    reminders = session.reminding.reminders
    for one, other in pairwise(reminders):
        off = any(one.at_s <= at < other.at_s and bound is None for at, bound in bounds)
        assert off or other.at_s - one.at_s >= ASK_S + PAUSE_S
    for each in reminders:
        bound = [bound for at, bound in bounds if at < each.at_s][-1]
        assert bound is not None
        assert 0 <= each.rate_before_per_min < bound
        assert each.at_s > WINDOW_S
        assert not any(each.at_s - WINDOW_S < at <= each.at_s for at in unknown)


@given(st.lists(st.sampled_from(get_args(Event))))
def test_an_event_that_a_state_does_not_have_changes_nothing(events: list[Event]) -> None:
    reminding = Reminding()
    for event in events:
        before = reminding.state
        if (before, event) in TABLE:
            reminding.step(event)
            assert reminding.state == TABLE[before, event]
        else:
            with pytest.raises(ValueError, match="can't happen while"):
                reminding.step(event)
            assert reminding.state == before


def test_every_state_can_be_left_and_turned_off() -> None:
    for state in get_args(State):
        assert (state, "on" if state == "off" else "off") in TABLE
    assert {state for state, event in TABLE if event == "elapsed"} == set(LASTS_S)


@pytest.mark.parametrize("flag", get_args(Flag))
def test_with_flags_that_hide_blinks_the_rate_is_not_known(flag: Flag) -> None:
    assert tally(200.0, 10, [flag]).blinks == (None if flag in HIDING else 10)


# Counted in a session


def asks(camera: Camera, lids: list[Lids], lose: float = 0.0) -> list[float]:
    """When the light asks in a session of four minutes, with the face lost for `lose` seconds."""
    builder, reminding = SessionBuilder(0.0), Reminding()
    reminding.remind_below(BOUND)
    asked: list[float] = []
    for each in without_face(camera.see(lids, 240), 100, 100 + lose):
        builder.add(each)
        if reminding.due(each.time_s):
            reminding.look(each.time_s, builder.tally(each.time_s, 0))
            asked += [each.time_s] * reminding.asking
    return asked


def every(seconds: float) -> list[Lids]:
    return [Lids(2.0 + seconds * number) for number in range(int(236 / seconds))]


def test_rare_blinks_are_asked_for_after_three_valid_minutes_and_usual_ones_are_not() -> None:
    assert asks(Camera(fps=15), every(15))[0] == pytest.approx(181, abs=1.5)
    assert asks(Camera(fps=15), every(15), lose=30)[0] == pytest.approx(211, abs=1.5)
    assert asks(Camera(fps=15), every(4)) == []


def test_without_a_known_rate_it_is_silent() -> None:
    assert asks(Camera(fps=8), every(15)) == []  # too slow for counts
    assert asks(Camera(fps=30, noise=0.06), every(15)) == []  # noise hides the blinks
    assert asks(Camera(fps=15), []) == []  # perhaps none can be seen
