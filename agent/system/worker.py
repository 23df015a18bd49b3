"""A thread with a resource of its own, which makes blocking calls on behalf of others."""

import contextlib
import logging
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import AbstractContextManager
from typing import Generic, TypeVar

from agent.calls import CallThread

log = logging.getLogger(__name__)

S_co = TypeVar("S_co", covariant=True)  # a `Worker` of `agent.store` is one of `records.Store`
T = TypeVar("T")

OPEN_S = 60.0  # a large store on a slow card; less than TimeoutStartSec
CLOSE_S = 5.0


class Worker(Generic[S_co]):
    """A thread with a resource of its own, which makes calls one after the other.

    The thread enters the context manager that `opened` returns, and leaves it on `close`. A call
    that hangs does not block the exit of the process.

    Raises what `opened` raises, and TimeoutError after OPEN_S.
    """

    def __init__(self, opened: Callable[[], AbstractContextManager[S_co]]) -> None:
        self._thread = CallThread("worker")
        self._stack = contextlib.ExitStack()
        try:
            self._resource = self._thread.within(
                OPEN_S, lambda: self._stack.enter_context(opened())
            )
        except BaseException:
            self._end()
            raise

    def submit(self, call: Callable[[S_co], T]) -> "Future[T]":
        """Queue `call` and return at once. The future gets its result or its exception."""
        return self._thread.submit(lambda: call(self._resource))

    def close(self) -> None:
        """End the thread once the queued calls are done. Calling it again does nothing."""
        self._end()
        if not self._thread.join(CLOSE_S):
            log.warning("a call hangs: its thread is abandoned")

    def _end(self) -> None:
        self._thread.submit(self._close_resource)
        self._thread.end()

    def _close_resource(self) -> None:
        try:
            self._stack.close()
        except Exception:  # nobody waits for this call
            log.exception("can't be closed")
