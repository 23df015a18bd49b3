"""A thread that makes blocking calls on behalf of others."""

import contextlib
import logging
import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import AbstractContextManager
from typing import Generic, TypeVar

log = logging.getLogger(__name__)

S = TypeVar("S")
T = TypeVar("T")

OPEN_S = 60.0  # a large store on a slow card; less than TimeoutStartSec
CLOSE_S = 5.0


class Worker(Generic[S]):
    """A thread with a resource of its own, which makes calls one after the other.

    The thread enters the context manager that `opened` returns, and leaves it on `close`. A call
    that hangs does not block the exit of the process: its daemon thread is abandoned.
    (concurrent.futures would wait for it.)

    Raises what `opened` raises, and TimeoutError after OPEN_S.
    """

    def __init__(self, opened: Callable[[], AbstractContextManager[S]]) -> None:
        self._calls: queue.SimpleQueue[Callable[[S], None] | None] = queue.SimpleQueue()
        opening: Future[None] = Future()
        self._thread = threading.Thread(
            target=self._run, args=[opened, opening], name="worker", daemon=True
        )
        self._thread.start()
        opening.result(OPEN_S)

    def submit(self, call: Callable[[S], T]) -> Future[T]:
        """Queue `call` and return at once. The future gets its result or its exception."""
        future: Future[T] = Future()

        def run(resource: S) -> None:
            try:
                future.set_result(call(resource))
            except BaseException as error:  # raised again by future.result()
                future.set_exception(error)

        self._calls.put(run)
        return future

    def close(self) -> None:
        """End the thread once the queued calls are done. Calling it again does nothing."""
        self._calls.put(None)
        self._thread.join(CLOSE_S)
        if self._thread.is_alive():
            log.warning("a call hangs: its thread is abandoned")

    def _run(
        self, opened: Callable[[], AbstractContextManager[S]], opening: "Future[None]"
    ) -> None:
        with contextlib.ExitStack() as stack:
            try:
                resource = stack.enter_context(opened())
            except BaseException as error:
                opening.set_exception(error)
                return
            opening.set_result(None)
            for call in iter(self._calls.get, None):
                call(resource)
