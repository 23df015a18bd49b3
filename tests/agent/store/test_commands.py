"""The store gives each command out once, in order, and only until it expires."""

import contextlib
import sqlite3
import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent.store.commands import COMMANDS_KEPT
from agent.store.store import Store
from tests.agent.documents import document

NOW = datetime(2026, 11, 22, 10, 0, tzinfo=UTC)


def command(**changes: Any) -> dict[str, Any]:
    expires_at = (NOW + timedelta(seconds=30)).isoformat()
    return {
        "id": "0193a1b2-7c3d-7e4f-8a5b-000000000001",
        "command": "start",
        "expires_at": expires_at,
        **changes,
    }


def test_a_command_is_given_out_once(store: Store) -> None:
    assert store.add_command(command(), NOW)
    assert store.take_command(NOW) == command()
    assert store.take_command(NOW) is None


def test_a_repeated_command_is_ignored_before_and_after_it_was_taken(store: Store) -> None:
    assert store.add_command(command(), NOW)
    assert not store.add_command(command(), NOW)
    store.take_command(NOW)
    assert not store.add_command(command(command="stop"), NOW)
    assert store.take_command(NOW) is None


def test_an_expired_command_is_never_given_out(store: Store) -> None:
    store.add_command(command(), NOW)
    assert store.take_command(NOW + timedelta(seconds=30)) is None
    assert store.take_command(NOW) is None, "a clock set back does not bring it back"


def test_a_command_expires_half_a_minute_after_arrival_with_any_clock(
    store: Store,
) -> None:
    """A device without a battery clock may be days behind who sent the command."""
    behind = NOW - timedelta(days=9)
    store.add_command(command(), behind)
    assert store.take_command(behind + timedelta(seconds=30)) is None
    another = command(id="0193a1b2-7c3d-7e4f-8a5b-000000000002")
    store.add_command(another, behind)
    assert store.take_command(behind + timedelta(seconds=29)) == another


@pytest.mark.parametrize(
    ("back", "is_taken"), [(timedelta(hours=1), False), (timedelta(seconds=5), True)]
)
def test_setting_the_clock_back_does_not_extend_a_command(
    store: Store, back: timedelta, is_taken: bool
) -> None:
    store.add_command(command(), NOW)
    assert (store.take_command(NOW - back) is not None) is is_taken


def test_commands_are_taken_in_order_of_arrival(store: Store) -> None:
    numbers = [f"0193a1b2-7c3d-7e4f-8a5b-{number:012}" for number in (3, 1, 2)]
    for number in numbers:
        store.add_command(command(id=number), NOW)
    taken = [store.take_command(NOW) for _ in numbers]
    assert [each["id"] for each in taken if each] == numbers


def test_a_command_keeps_the_session_it_is_for_and_nothing_unknown(store: Store) -> None:
    session_id = document()["session_id"]
    store.add_command(command(session_id=session_id, shell="reboot"), NOW)
    assert store.take_command(NOW) == command(session_id=session_id)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"id": None}, "id: expected a UUID, found None"),
        ({"id": "1; DROP TABLE"}, "id: expected a UUID"),
        ({"id": ["x"] * 1000}, "id: expected a UUID"),
        ({"command": "reboot"}, "command: expected one of start, stop, found 'reboot'"),
        ({"command": {}}, "command: expected one of start, stop"),
        ({"expires_at": "soon"}, "expires_at: expected a time with its zone, found 'soon'"),
        ({"expires_at": "2026-11-22T10:00:00"}, "expires_at: expected a time with its zone"),
        ({"expires_at": 5}, "expires_at: expected a time with its zone"),
        ({"session_id": "../x"}, "session_id: expected a UUID"),
    ],
)
def test_an_invalid_command_is_refused(
    store: Store, changes: dict[str, Any], expected: str
) -> None:
    with pytest.raises(ValueError, match=expected) as refused:
        store.add_command(command(**changes), NOW)
    assert len(str(refused.value)) < 200, "what comes from outside does not fill the log"
    assert store.take_command(NOW) is None


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=40),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)
TIMES = st.datetimes().map(str) | st.datetimes(timezones=st.timezones()).map(datetime.isoformat)


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    command=st.fixed_dictionaries(
        {},
        optional={
            "id": st.uuids().map(str) | VALUES,
            "command": st.sampled_from(["start", "stop"]) | VALUES,
            "expires_at": TIMES | VALUES,
            "session_id": st.uuids().map(str) | VALUES,
        },
    )
)
def test_any_input_as_a_command_is_refused_or_can_be_executed(
    store: Store, command: dict[str, Any]
) -> None:
    long_ago = datetime(2000, 1, 1, tzinfo=UTC)
    with contextlib.suppress(ValueError):
        store.add_command(command, long_ago)
    taken = store.take_command(long_ago)
    if taken is not None:
        assert taken["command"] in ("start", "stop")
        assert str(uuid.UUID(taken["id"])) == taken["id"]


def test_a_flood_of_commands_does_not_fill_the_disk(path: Path, store: Store) -> None:
    for number in range(COMMANDS_KEPT + 20):
        store.add_command(command(id=f"0193a1b2-7c3d-7e4f-8a5b-{number:012}"))
    with sqlite3.connect(path) as raw:
        assert raw.execute("SELECT count(*) FROM commands").fetchone() == (COMMANDS_KEPT,)
    raw.close()
