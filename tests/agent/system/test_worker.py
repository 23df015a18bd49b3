"""A thread that waits in place of others."""

import contextlib
import threading
from collections.abc import Iterator

import pytest

from agent.system import worker
from agent.system.worker import Worker


class Thing:
    """Knows in which threads it was opened, used and closed."""

    def __init__(self) -> None:
        self.threads: list[str] = []

    def touch(self) -> int:
        self.threads.append(threading.current_thread().name)
        return len(self.threads)

    @contextlib.contextmanager
    def opened(self) -> Iterator["Thing"]:
        self.touch()
        yield self
        self.touch()


def test_a_thing_is_opened_used_and_closed_in_one_thread_that_is_not_ours() -> None:
    thing = Thing()
    with contextlib.closing(Worker(thing.opened)) as there:
        assert there.submit(Thing.touch).result(10) == 2
    assert thing.threads == ["worker"] * 3


def test_whoever_asks_goes_on_and_is_answered_in_order() -> None:
    free = threading.Event()
    with contextlib.closing(Worker(Thing().opened)) as there:
        first = there.submit(lambda _: free.wait(10))
        second = there.submit(Thing.touch)
        assert not first.done()
        free.set()
        assert second.result(10) == 2
        assert first.done()


def test_an_error_is_for_who_asked_and_the_next_is_answered() -> None:
    with contextlib.closing(Worker(Thing().opened)) as there:
        wrong = there.submit(lambda _: 1 // 0)
        assert there.submit(Thing.touch).result(10) == 2
        assert isinstance(wrong.exception(), ZeroDivisionError)


def test_what_can_not_be_opened_is_said_at_once() -> None:
    def opened() -> contextlib.AbstractContextManager[Thing]:
        raise OSError("read-only")

    with pytest.raises(OSError, match="read-only"):
        Worker(opened)


def test_a_call_that_hangs_keeps_nobody_from_ending(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(worker, "CLOSE_S", 0.05)
    free = threading.Event()
    there = Worker(Thing().opened)
    there.submit(lambda _: free.wait(10))
    there.close()
    assert "abandoned" in caplog.text
    free.set()
