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


@pytest.mark.parametrize("state", [state for state in TRANSITIONS if state != "up"])
@pytest.mark.parametrize("event", ["up", "unplugged"])
def test_a_button_that_is_released_or_unplugged_is_up(state: State, event: Event) -> None:
    assert TRANSITIONS[state][event][0] == "up"


@given(st.lists(st.sampled_from(EVENTS)))
def test_a_press_asks_once_for_a_session_at_most(events: list[Event]) -> None:
    _, asked = actions(events)
    assert asked.count("stop") + asked.count("start") <= events.count("down")
    assert asked.count("start") <= events.count("up")
    assert asked.count("stop") <= events.count("long")
    assert asked.count("codes") <= asked.count("stop")


@given(st.lists(st.sampled_from(EVENTS)))
def test_only_a_finger_on_the_button_can_ask_for_anything(events: list[Event]) -> None:
    state, _ = actions(events)
    for event in EVENTS:
        _, action = TRANSITIONS[state].get(event, (state, None))
        assert action is None or state in FELT
        assert action is None or event in ("up", "long", "very long")
