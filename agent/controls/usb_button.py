"""A foot switch or USB button: any device that sends key presses, read as kernel input events.

Implemented here, because installing python-evdev needs a compiler. Only fixed records of 24 bytes
and two ioctls are needed: EVIOCGRAB, so that the keys never reach a console, and EVIOCGKEY, which
reads the pressed keys after an overflow (linux/input.h; Documentation/input/event-codes).
"""

import fcntl
import logging
import os
import struct
import time
from collections.abc import Iterator
from pathlib import Path

log = logging.getLogger(__name__)

_EVENT = struct.Struct("@llHHi")  # struct input_event: time in s and us, type, code, value
_EV_SYN, _SYN_DROPPED, _EV_KEY = 0, 3, 1
_UP, _DOWN = 0, 1  # 2 is auto-repeat
_KEY_BYTES = 96  # a bit for each of KEY_MAX + 1 = 768 keys
_GRAB = 0x40044590  # EVIOCGRAB
_HELD = 0x80004518 | _KEY_BYTES << 16  # EVIOCGKEY(96): the keys that are down

RETRY_S = 1.0  # how often to look for a button that is not plugged in
TAP_S = 0.05  # shortest press: some pedals send press and release at once
READ_EVENTS = 64
READS = 16  # reads per call: a device that floods us must not block us


class EvdevButton:
    """The input device at `path`, such as a name in /dev/input/by-id/, while it is plugged in.

    Each of its keys counts, or only `key` (a code of linux/input-event-codes.h).
    """

    def __init__(self, path: Path, key: int | None = None) -> None:
        self._path = path
        self._key = key
        self._file = -1
        self._keys: set[int] = set()  # keys that are down
        self._tapped_s = 0.0
        self._try_s = 0.0
        self._logged: str | None = None

    def fileno(self) -> int:
        """Return a file descriptor that is readable after a key event; -1 while unplugged."""
        return self._file

    def down(self) -> bool | None:
        """Return whether a key is down or was just tapped; None while the device is unplugged."""
        if self._file < 0 and not self._open():
            return None
        try:
            for kind, code, value in self._events():
                self._take(kind, code, value)
        except OSError as error:
            self._log(f"was unplugged ({error.strerror})")
            self.close()
            return None
        return bool(self._keys) or time.monotonic() < self._tapped_s

    def close(self) -> None:
        """Release the device."""
        file, self._file = self._file, -1
        self._keys.clear()
        self._tapped_s = 0.0
        if file >= 0:
            os.close(file)

    def _open(self) -> bool:
        if time.monotonic() < self._try_s:
            return False
        self._try_s = time.monotonic() + RETRY_S
        try:
            self._file = os.open(self._path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
            fcntl.ioctl(self._file, _GRAB, 1)
        except OSError as error:
            self._log(f"can't be used as a button: {error.strerror}")
            self.close()
            return False
        self._log("is used as a button")
        return True

    def _events(self) -> Iterator[tuple[int, int, int]]:
        """Yield type, code and value of each pending event. Raises OSError if unplugged."""
        for _ in range(READS):
            try:
                data = os.read(self._file, READ_EVENTS * _EVENT.size)
            except BlockingIOError:
                return
            if not data:
                raise OSError(0, "end of file")
            whole = len(data) - len(data) % _EVENT.size
            for _s, _us, kind, code, value in _EVENT.iter_unpack(data[:whole]):
                yield kind, code, value

    def _take(self, kind: int, code: int, value: int) -> None:
        if kind == _EV_SYN and code == _SYN_DROPPED:  # the kernel's buffer overflowed
            self._keys &= self._really_down()
        elif kind == _EV_KEY and self._key in (None, code):
            log.debug("%s: key %d, value %d", self._path, code, value)
            if value == _DOWN:
                self._keys.add(code)
                self._tapped_s = time.monotonic() + TAP_S
            elif value == _UP:
                self._keys.discard(code)

    def _really_down(self) -> set[int]:
        bits = fcntl.ioctl(self._file, _HELD, bytes(_KEY_BYTES))
        return {number for number in range(8 * _KEY_BYTES) if bits[number // 8] >> number % 8 & 1}

    def _log(self, what: str) -> None:
        """Log `what` unless it is the same as last time: opening is retried every second."""
        if what != self._logged:
            self._logged = what
            log.info("%s %s", self._path, what)
