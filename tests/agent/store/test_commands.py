"""The store gives each command out once, in order, and only until it expires."""

import contextlib
import json
import math
import sqlite3
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent.clock import Clock
from agent.store.commands import COMMANDS_KEPT
from agent.store.store import Store
from tests.agent.documents import document

SENT = datetime(2026, 11, 22, 10, 0, tzinfo=UTC)  # by the server's clock


@dataclass(frozen=True, slots=True)
class HandClock(Clock):
    """Both clocks of a device, each moved by hand."""

    hands: dict[str, Any] = field(
        default_factory=lambda: {"seconds": 5000.0, "boot": "a", "wall": SENT}
    )

    def now(self) -> datetime:
        wall: datetime = self.hands["wall"]
        return wall

    def monotonic_s(self) -> float:
        seconds: float = self.hands["seconds"]
        return seconds

    def boot_id(self) -> str:
        boot: str = self.hands["boot"]
        return boot

    def wait(self, seconds: float) -> None:
        self.hands["seconds"] += seconds


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def store(path: Path, clock: HandClock) -> Iterator[Store]:
    with contextlib.closing(Store(path, clock)) as opened:
        yield opened


def command(**changes: Any) -> dict[str, Any]:
    expires_at = (SENT + timedelta(seconds=30)).isoformat()
    return {
        "id": "0193a1b2-7c3d-7e4f-8a5b-000000000001",
        "command": "start",
        "expires_at": expires_at,
        **changes,
    }


def test_a_command_is_given_out_once(store: Store) -> None:
    assert store.add_command(command())
    assert store.take_command() == command()
    assert store.take_command() is None


def test_a_repeated_command_is_ignored_before_and_after_it_was_taken(store: Store) -> None:
    assert store.add_command(command())
    assert not store.add_command(command())
    store.take_command()
    assert not store.add_command(command(command="stop"))
    assert store.take_command() is None


def test_a_look_takes_nothing_and_a_dropped_command_is_gone(store: Store) -> None:
    another = command(id="0193a1b2-7c3d-7e4f-8a5b-000000000002")
    for each in (command(), another):
        store.add_command(each)
    assert store.next_command() == store.next_command() == command()
    store.drop_command(command()["id"])
    assert store.next_command() == store.take_command() == another
    assert store.next_command() is None
    assert not store.add_command(command()), "its ID is remembered"


def test_an_expired_command_is_never_given_out(store: Store, clock: HandClock) -> None:
    store.add_command(command())
    clock.wait(30)
    assert store.next_command() is None
    assert store.take_command() is None
    clock.wait(-30)
    assert store.take_command() is None


@pytest.mark.parametrize(("left_s", "lives_s"), [(12.0, 12.0), (1e9, 30.0), (math.inf, 30.0)])
def test_a_command_lives_as_long_as_the_sender_says_and_half_a_minute_at_most(
    store: Store, clock: HandClock, left_s: float, lives_s: float
) -> None:
    store.add_command(command(), left_s)
    clock.wait(lives_s - 0.1)
    assert store.next_command() == command()
    clock.wait(0.1)
    assert store.take_command() is None


@pytest.mark.parametrize("left_s", [0.0, -5.0, math.nan])
def test_a_command_that_arrives_too_late_is_known_but_never_given_out(
    store: Store, left_s: float
) -> None:
    assert store.add_command(command(), left_s)
    assert store.take_command() is None
    assert not store.add_command(command())


@pytest.mark.parametrize(
    "wrong", [timedelta(days=-9), timedelta(seconds=-31), timedelta(seconds=31), timedelta(days=9)]
)
def test_a_command_expires_half_a_minute_after_arrival_with_any_clock(
    store: Store, clock: HandClock, wrong: timedelta
) -> None:
    """A device without a battery clock may be days behind or ahead of the sender."""
    clock.hands["wall"] += wrong
    store.add_command(command())
    clock.wait(30)
    assert store.take_command() is None
    another = command(id="0193a1b2-7c3d-7e4f-8a5b-000000000002")
    store.add_command(another)
    clock.wait(29)
    assert store.take_command() == another


@pytest.mark.parametrize("step", [timedelta(days=-900), timedelta(days=900)])
def test_setting_the_wall_clock_changes_nothing(
    store: Store, clock: HandClock, step: timedelta
) -> None:
    """A time service sets it soon after the network is there, just as commands arrive."""
    store.add_command(command())
    clock.hands["wall"] += step
    clock.wait(29)
    assert store.take_command() == command()


@pytest.mark.parametrize("boot", ["another", "a"])
@pytest.mark.parametrize("up_s", [10.0, 4999.0, 5001.0, 9000.0])
def test_a_restart_of_the_device_drops_what_was_waiting(
    store: Store, clock: HandClock, boot: str, up_s: float
) -> None:
    """The monotonic clock starts again with each boot, and may come by the same time."""
    store.add_command(command())
    clock.hands.update(boot=boot, seconds=up_s)
    may_be_valid = boot == "a" and abs(up_s - 5000) < 30
    assert (store.take_command() is not None) is (may_be_valid and up_s >= 5000)


@pytest.mark.parametrize(
    "damaged", ["", "{", "[]", "null", "7", '{"id": 7}', '{"boot_id": "a", "until_s": "soon"}']
)
def test_a_damaged_command_is_dropped(path: Path, store: Store, damaged: str) -> None:
    store.add_command(command())
    another = command(id="0193a1b2-7c3d-7e4f-8a5b-000000000002")
    store.add_command(another)
    with contextlib.closing(sqlite3.connect(path)) as raw, raw:
        raw.execute("UPDATE commands SET command = ? WHERE number = 1", [damaged])
    assert store.next_command() == store.take_command() == another


VALID = {"boot_id": "a", "until_s": 5020.0, "command": "start", "id": "x"}


@pytest.mark.parametrize(
    ("changes", "is_given"),
    [
        ({}, True),
        ({"command": "dance"}, False),
        ({"command": None}, False),
        ({"id": 7}, False),
        ({"id": None}, False),
        ({"boot_id": "b"}, False),
        ({"until_s": 5000.0}, False),
        ({"until_s": 5031.0}, False),
    ],
)
def test_a_command_that_another_release_or_damage_left_is_given_out_only_if_it_is_one(
    path: Path, store: Store, changes: dict[str, Any], is_given: bool
) -> None:
    store.add_command(command())
    with contextlib.closing(sqlite3.connect(path)) as raw, raw:
        raw.execute("UPDATE commands SET command = ?", [json.dumps(VALID | changes)])
    assert (store.next_command() is not None) is is_given
    assert (store.take_command() is not None) is is_given


def test_commands_are_taken_in_order_of_arrival(store: Store) -> None:
    numbers = [f"0193a1b2-7c3d-7e4f-8a5b-{number:012}" for number in (3, 1, 2)]
    for number in numbers:
        store.add_command(command(id=number))
    taken = [store.take_command() for _ in numbers]
    assert [each["id"] for each in taken if each] == numbers


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ({"activity": "reading"}, {"activity": "reading"}),
        ({"activity": None}, {}),
        ({"command": "stop", "activity": "reading"}, {}),
        ({"command": "stop", "activity": "sleeping"}, {}),
    ],
)
def test_a_start_keeps_a_known_activity(
    store: Store, caplog: pytest.LogCaptureFixture, sent: dict[str, Any], kept: dict[str, Any]
) -> None:
    store.add_command(command(**sent))
    taken = store.take_command() or {}
    assert {key: taken[key] for key in taken if key == "activity"} == kept
    assert "unknown" not in caplog.text


@pytest.mark.parametrize("unknown", ["sleeping", "Reading", "", 7, True, ["reading"], {"a": 1}])
def test_an_unknown_activity_is_logged_once_and_leaves_the_session_without_one(
    store: Store, caplog: pytest.LogCaptureFixture, unknown: object
) -> None:
    start = command(activity=unknown)
    for _ in range(3):  # over HTTP, a command is told again and again
        store.add_command(start)
    taken = store.take_command() or {}
    assert (taken["command"], taken["activity"]) == ("start", None)
    assert caplog.text.count(f"unknown activity {unknown!r}") == 1


def test_a_command_keeps_the_session_it_is_for_and_nothing_unknown(store: Store) -> None:
    session_id = document()["session_id"]
    store.add_command(command(session_id=session_id, shell="reboot"))
    assert store.take_command() == command(session_id=session_id)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"id": None}, "id: expected a UUID, found None"),
        ({"id": "1; DROP TABLE"}, "id: expected a UUID"),
        ({"id": ["x"] * 1000}, "id: expected a UUID"),
        ({"command": "reboot"}, "command: expected one of start, stop, aim, check, found 'reboot'"),
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
        store.add_command(command(**changes))
    assert len(str(refused.value)) < 200, "what comes from outside does not fill the log"
    assert store.take_command() is None


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
    with contextlib.suppress(ValueError):
        store.add_command(command)
    taken = store.take_command()
    if taken is not None:
        assert taken["command"] in ("start", "stop")
        assert str(uuid.UUID(taken["id"])) == taken["id"]


def test_a_flood_of_commands_does_not_fill_the_disk(path: Path, store: Store) -> None:
    for number in range(COMMANDS_KEPT + 20):
        store.add_command(command(id=f"0193a1b2-7c3d-7e4f-8a5b-{number:012}"))
    with sqlite3.connect(path) as raw:
        assert raw.execute("SELECT count(*) FROM commands").fetchone() == (COMMANDS_KEPT,)
    raw.close()
