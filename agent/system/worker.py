"""A thread that waits, so that whoever asks it does not have to."""

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


class Beside(Generic[S]):
    """Makes calls one after the other, in a thread of its own, with a thing of its own.

    `opened` opens the thing there, `close` closes it there. A call that hangs keeps nobody from
    ending: its thread is left behind, which an executor of concurrent.futures would wait for at
    exit. Raises what `opened` does, and TimeoutError after OPEN_S.
    """

    def __init__(self, opened: Callable[[], AbstractContextManager[S]]) -> None:
        self._calls: queue.SimpleQueue[Callable[[S], None] | None] = queue.SimpleQueue()
        opening: Future[None] = Future()
        self._thread = threading.Thread(
            target=self._run, args=[opened, opening], name="beside", daemon=True
        )
        self._thread.start()
        opening.result(OPEN_S)

    def begin(self, call: Callable[[S], T]) -> Future[T]:
        """Has `call` made, and returns at once: the future will have its result or its error."""
        future: Future[T] = Future()

        def fulfil(thing: S) -> None:
            try:
                future.set_result(call(thing))
            except BaseException as error:  # it is for whoever looks into the future
                future.set_exception(error)

        self._calls.put(fulfil)
        return future

    def close(self) -> None:
        """Ends the thread after the calls that have begun. Twice is once."""
        self._calls.put(None)
        self._thread.join(CLOSE_S)
        if self._thread.is_alive():
            log.warning("a call hangs: it is left behind")

    def _run(
        self, opened: Callable[[], AbstractContextManager[S]], opening: "Future[None]"
    ) -> None:
        with contextlib.ExitStack() as stack:
            try:
                thing = stack.enter_context(opened())
            except BaseException as error:
                opening.set_exception(error)
                return
            opening.set_result(None)
            for call in iter(self._calls.get, None):
                call(thing)
