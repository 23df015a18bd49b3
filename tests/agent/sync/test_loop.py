"""The loop of delivery feeds the watchdog and outlives a store that can't be written."""

from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from agent.errors import StoreError
from agent.store.store import Store
from agent.sync import Backoff, Sync
from tests.agent.documents import document
from tests.agent.servers import History, until
from tests.agent.sync.scripted import Clock, Late, Way, running, scripted, steps


def test_the_loop_feeds_the_watchdog_and_ends_when_told(path: Path, way: Way) -> None:
    beats: list[int] = []
    with running(Late(path), [way], poll_s=0.01, alive=lambda: beats.append(1)):
        until(lambda: len(beats) > 5, "five beats")
    assert way.closed


class Stop:
    """Ends the loop after so many waits; `waits_s` are those, in seconds."""

    def __init__(self, most: int) -> None:
        self._most = most
        self.waits_s: list[float] = []

    def is_set(self) -> bool:
        return len(self.waits_s) >= self._most

    def wait(self, seconds: float) -> None:
        self.waits_s.append(seconds)


def test_the_store_is_polled_four_times_a_second(store: Store, way: Way) -> None:
    stop: Any = Stop(5)
    Sync(store, [way]).run(stop)
    assert stop.waits_s == [0.25] * 5


def test_while_the_camera_is_aimed_the_loop_is_twice_as_fast_as_the_views(
    store: Store, way: Way
) -> None:
    """They are written five times a second."""
    stop: Any = Stop(5)
    Sync(store, [way], view=lambda: {"number": 1}).run(stop)
    assert stop.waits_s == [0.1] * 5
    assert way.shown == [{"number": 1}]


def test_a_backlog_is_sent_without_a_pause(store: Store, history: History, way: Way) -> None:
    for _ in range(3 * way.at_once):
        store.put(document(7))
    stop: Any = Stop(1)
    Sync(store, [way]).run(stop)
    assert len(history.revisions()) == 3 * way.at_once


def test_a_change_that_was_missed_is_found_within_a_minute(
    path: Path, store: Store, history: History, way: Way, clock: Clock, monkeypatch: Any
) -> None:
    """As by a store that was replaced in between by one that has the same version."""
    version = store.data_version()
    monkeypatch.setattr(store, "data_version", lambda: version)
    sync = scripted(store, clock, way)
    steps(sync, clock, 30)
    with closing(Store(path)) as watch:
        watch.put(document(7))
    steps(sync, clock, 29.5)
    assert not history.revisions()
    steps(sync, clock, 1)
    assert history.revisions()


def test_a_change_is_looked_for_without_reading_the_sessions(
    store: Store, way: Way, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Four times a second, for months."""
    looks: list[int] = []
    pending = store.pending

    def counted(limit: int, *, skip: Any = ()) -> Any:
        looks.append(limit)
        return pending(limit, skip=skip)

    monkeypatch.setattr(store, "pending", counted)
    steps(scripted(store, clock, way), clock, 600)
    assert len(looks) < 40


def test_a_store_that_can_t_be_written_delays_and_does_not_end_the_loop(
    path: Path, store: Store, history: History, way: Way, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Full:
        full = True

        def __getattr__(self, name: str) -> Any:
            return getattr(late, name)

        def acknowledge(self, session_id: str, revision: int) -> bool:
            if self.full:
                raise StoreError("the disk is full")
            return bool(late.acknowledge(session_id, revision))

    late, full = Late(path), Full()
    store.put(final := document(7))
    backoff: Callable[[], Backoff] = lambda: Backoff(draw=lambda low, high: 0.05)  # noqa: E731
    with running(full, [way], poll_s=0.01, backoff=backoff):
        until(lambda: len(history.said) > 2, "the document is sent again and again")
        full.full = False
        until(lambda: store.counts()["delivered"] == 1, "delivered at last")
    assert history.revisions() == {final["session_id"]: 7}
    assert [said[2] for said in history.said[:2]] == ["stored", "duplicate"]


def test_a_store_that_fails_is_not_tried_at_full_speed(
    store: Store, way: Way, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries: list[int] = []

    def fails() -> object:
        tries.append(1)
        assert len(tries) < 10, "it is tried without a pause"
        raise StoreError("the disk gave an input/output error")

    monkeypatch.setattr(store, "data_version", fails)
    stop: Any = Stop(3)
    Sync(store, [way]).run(stop)
    assert stop.waits_s == [0.25] * 3


def test_a_store_that_fails_for_good_is_said_once_and_starves_the_watchdog(
    path: Path, way: Way, caplog: pytest.LogCaptureFixture
) -> None:
    class Gone:
        looks = 0

        def data_version(self) -> object:
            self.looks += 1
            raise StoreError("the disk gave an input/output error")

        def close(self) -> None:
            pass

    beats: list[int] = []
    gone: Any = Gone()
    with running(gone, [way], poll_s=0.01, alive=lambda: beats.append(1)):
        until(lambda: gone.looks > 10, "it is tried again and again")
    assert beats == []
    assert len([each for each in caplog.messages if "input/output" in each]) == 1
