"""Presses of a button: one state machine for a contact on a GPIO and for a key of a USB button.

    up --down, and still after DEBOUNCE_S--> pressed --up, and still--> "start", up
                                                |
                                                +--long enough--> "stop", held --up, and still--> up
                                                |
                                                +--unplugged--> up

    held for STUCK_S more --> stuck --up, and still--> up

A long press counts as soon as it is long enough, so that the light can answer while the finger is
still down; a short one when it is let go. A plug that is pulled is no press. A button that is stuck
keeps neither the other one nor the light.
"""

import contextlib
import logging
import os
import queue
import select
import threading
import time
from collections.abc import Callable, Sequence
from typing import Literal, Protocol

from agent.errors import ControlsError

log = logging.getLogger(__name__)

Action = Literal["start", "stop"]

DEBOUNCE_S = 0.02  # push buttons bounce for a few milliseconds, seldom for more than ten
QUIET_S = 1.0  # how soon a button that was plugged in again is looked for
HELD_S = 0.05  # how soon a release is seen whose edge was lost
STUCK_S = 10.0  # nobody means a press that lasts so much longer than a long one


class Source(Protocol):
    """Something to press."""

    def fileno(self) -> int:
        """A file that can be read when there is news; -1 while there is none to wait for."""

    def down(self) -> bool | None:
        """Whether it is pressed, with all news read; None while it is not there."""

    def close(self) -> None:
        """Lets go of it."""


class Contact:
    """A contact whose edges come as calls of `edge`, from any thread; `level` reads it."""

    def __init__(self, level: Callable[[], bool]) -> None:
        self._level = level
        self._news = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)

    def edge(self) -> None:
        """It opened or closed: any number of times."""
        with contextlib.suppress(OSError):  # closed meanwhile
            os.eventfd_write(self._news, 1)

    def fileno(self) -> int:
        """Readable after an edge."""
        return self._news

    def down(self) -> bool:
        """Whether it is closed."""
        with contextlib.suppress(BlockingIOError):  # no edge since
            os.eventfd_read(self._news)
        return self._level()

    def close(self) -> None:
        """Lets go of the file."""
        news, self._news = self._news, -1
        if news >= 0:
            os.close(news)


class Presses:
    """Watches `sources` in a thread of its own; `answer` is told of each press as it begins and
    ends, within DEBOUNCE_S."""

    def __init__(
        self,
        sources: Sequence[Source],
        long_press_s: float,
        answer: Callable[[bool], None] = lambda _: None,
    ) -> None:
        self._sources = sources
        self._long_press_s = long_press_s
        self._answer = answer
        self._stuck: set[Source] = set()
        self._end = Contact(lambda: True)
        self._closed = threading.Event()
        self._actions: queue.SimpleQueue[Action] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="button", daemon=True)
        self._thread.start()

    def next(self, timeout_s: float) -> Action | None:
        """The next press, waiting at most `timeout_s` seconds for one.

        Raises ControlsError where nobody watches the button any more.
        """
        try:
            return self._actions.get(timeout=max(0.0, timeout_s))
        except queue.Empty:
            if self._thread.is_alive() or self._closed.is_set():
                return None
        raise ControlsError("the thread that watches the button died")

    def close(self) -> None:
        """Ends the thread, then lets go of the sources."""
        self._closed.set()
        self._end.edge()
        self._thread.join(QUIET_S + 1)
        for each in (self._end, *self._sources):
            each.close()

    def _run(self) -> None:
        while not self._closed.is_set():
            for source in self._sources:
                if source in self._stuck:
                    if not self._pressed(source):
                        self._stuck.discard(source)
                elif source.down() and self._settled(source):
                    self._follow(source)
            self._wait(self._sources, QUIET_S)

    def _follow(self, source: Source) -> None:
        """From a press to its end."""
        self._answer(True)
        until_s = time.monotonic() + self._long_press_s
        while (pressed := self._pressed(source)) and time.monotonic() < until_s:
            self._wait([source], min(HELD_S, max(0.0, until_s - time.monotonic())))
        if pressed is not None and not self._closed.is_set():
            self._actions.put("stop" if pressed else "start")
        until_s = time.monotonic() + STUCK_S
        while pressed and time.monotonic() < until_s:
            self._wait([source], HELD_S)
            pressed = self._pressed(source)
        if pressed:
            self._stuck.add(source)
            log.warning("a button does not come up again: is it stuck?")
        self._answer(False)

    def _pressed(self, source: Source) -> bool | None:
        """Whether it still is, once its contact has come to rest; None where it is gone."""
        if self._closed.is_set():
            return None
        return source.down() or self._settled(source)

    def _settled(self, source: Source) -> bool | None:
        self._closed.wait(DEBOUNCE_S)
        return source.down()

    def _wait(self, sources: Sequence[Source], timeout_s: float) -> None:
        """For news of one of them, or for the end."""
        poll = select.poll()
        for each in (self._end, *sources):
            if each.fileno() >= 0:
                poll.register(each.fileno(), select.POLLIN)
        poll.poll(1000 * timeout_s)
