"""The loop of delivery feeds the watchdog and outlives a store that can't be written."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from agent.errors import StoreError
from agent.store.store import Store
from agent.sync import Backoff
from tests.agent.documents import document
from tests.agent.servers import History, until
from tests.agent.sync.scripted import Late, Way, running


def test_the_loop_feeds_the_watchdog_and_ends_when_told(path: Path, way: Way) -> None:
    beats: list[int] = []
    with running(Late(path), [way], poll_s=0.01, alive=lambda: beats.append(1)):
        until(lambda: len(beats) > 5, "five beats")
    assert way.closed


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
