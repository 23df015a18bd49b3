"""The table of presses: every event in every state, and what any number of them amounts to."""

from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.controls.presses import FELT, TRANSITIONS, Action, Event, State

EVENTS: tuple[Event, ...] = get_args(Event)


def actions(events: list[Event]) -> tuple[State, list[Action]]:
    """The state after these events, and what they asked for."""
    state: State = "up"
    asked: list[Action] = []
    for event in events:
        state, action = TRANSITIONS[state].get(event, (state, None))
        asked += [action] if action else []
    return state, asked


def test_every_state_and_event_is_spelled_as_declared() -> None:
    assert set(TRANSITIONS) == set(get_args(State))
    for state, row in TRANSITIONS.items():
        assert set(row) <= set(EVENTS)
        assert {after for after, _ in row.values()} <= set(TRANSITIONS) - {state}


@pytest.mark.parametrize("state", [state for state in TRANSITIONS if state not in ("up", "once")])
def test_a_button_that_is_released_is_up_or_waits_for_a_second_press(state: State) -> None:
    assert TRANSITIONS[state]["up"][0] == ("once" if state == "pressed" else "up")


@pytest.mark.parametrize("state", [state for state in TRANSITIONS if state != "up"])
def test_a_button_that_is_unplugged_is_up(state: State) -> None:
    assert TRANSITIONS[state]["unplugged"][0] == "up"


@given(st.lists(st.sampled_from(EVENTS)))
def test_a_press_asks_once_for_a_session_at_most(events: list[Event]) -> None:
    _, asked = actions(events)
    assert asked.count("stop") + asked.count("start") <= events.count("down")
    assert asked.count("start") <= events.count("up")
    assert asked.count("stop") <= events.count("long")
    assert asked.count("codes") <= asked.count("stop")
    assert 2 * asked.count("check") + asked.count("start") <= events.count("down")


def test_a_double_press_checks_and_starts_nothing() -> None:
    assert actions(["down", "up", "down", "up"]) == ("up", ["check"])
    assert actions(["down", "up", "single", "down", "up", "single"]) == ("up", ["start"] * 2)
    assert actions(["down", "up", "down", "long", "up"]) == ("up", ["stop"])
    assert actions(["down", "up", "down", "unplugged"]) == ("up", [])


def test_a_pedal_that_is_unplugged_after_a_press_was_pressed() -> None:
    assert actions(["down", "up", "unplugged"]) == ("up", ["start"])


@given(st.lists(st.sampled_from(EVENTS)))
def test_only_a_finger_that_is_or_just_was_on_the_button_can_ask_for_anything(
    events: list[Event],
) -> None:
    state, _ = actions(events)
    for event in EVENTS:
        _, action = TRANSITIONS[state].get(event, (state, None))
        assert action is None or state in FELT or state == "once"
        assert action is None or event in ("up", "long", "very long", "single", "unplugged")
