"""Blocking calls with a time limit, in a thread. A call that hangs is abandoned: it never returns.

Its daemon thread does not keep the process from exiting. (concurrent.futures would wait for it.) To
end such a call, it needs a process of its own: see `agent.health.doctor`.
"""

import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

T = TypeVar("T")


class OverdueError(TimeoutError):
    """A call did not return in time. It still runs, and its thread with it."""


class CallThread:
    """A daemon thread that makes calls one after the other."""

    def __init__(self, name: str) -> None:
        self._calls: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def submit(self, call: Callable[[], T]) -> "Future[T]":
        """Queue `call` and return at once. The future gets its result or its exception."""
        future: Future[T] = Future()

        def run() -> None:
            try:
                future.set_result(call())
            except BaseException as error:  # raised again by future.result()
                future.set_exception(error)

        self._calls.put(run)
        return future

    def within(self, limit_s: float, call: Callable[[], T]) -> T:
        """Return the result of `call`, made after the queued ones.

        Raises its error, or OverdueError after `limit_s` seconds: other calls then wait behind it.
        """
        future = self.submit(call)
        try:
            return future.result(limit_s)
        except TimeoutError:
            if future.done():  # its own error, or it returned just now
                return future.result()
            raise OverdueError(f"not done within {limit_s:g} s") from None

    def end(self) -> None:
        """End the thread once the queued calls are done."""
        self._calls.put(None)

    def join(self, limit_s: float) -> bool:
        """Wait for the end of the thread. Return whether it ended within `limit_s` seconds."""
        self._thread.join(limit_s)
        return not self._thread.is_alive()

    def _run(self) -> None:
        for call in iter(self._calls.get, None):
            call()


def within(limit_s: float, call: Callable[[], T]) -> T:
    """Return the result of `call`, in a thread of its own.

    Raises its error, or OverdueError after `limit_s` seconds.
    """
    thread = CallThread("call")
    try:
        return thread.within(limit_s, call)
    finally:
        thread.end()
