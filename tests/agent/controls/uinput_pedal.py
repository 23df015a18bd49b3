"""A pedal that the kernel believes in (uinput), and the button that reads it; needs /dev/uinput.

    python -m tests.agent.controls.uinput_pedal

Where there is one, `test_evdev_uinput.py` runs it as a test.
"""

import contextlib
import fcntl
import os
import struct
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from agent.controls.presses import Presses
from agent.controls.usb_button import EvdevButton

UINPUT = Path("/dev/uinput")
SET_EVBIT, SET_KEYBIT = 0x40045564, 0x40045565  # linux/uinput.h
DEV_SETUP, DEV_CREATE, DEV_DESTROY = 0x405C5503, 0x5501, 0x5502
EV_SYN, EV_KEY, KEY_B = 0, 1, 48
NAME = b"blinklog test pedal"
LONG_S = 0.5
WAIT_S = 20.0


class Pedal:
    """Plugged in as soon as it is made; `link` is its name, as udev's below by-id would be."""

    def __init__(self, link: Path) -> None:
        before = set(Path("/dev/input").glob("event*"))
        self._link = link
        self._file = os.open(UINPUT, os.O_WRONLY | os.O_NONBLOCK)
        fcntl.ioctl(self._file, SET_EVBIT, EV_KEY)
        fcntl.ioctl(self._file, SET_KEYBIT, KEY_B)
        fcntl.ioctl(self._file, DEV_SETUP, struct.pack("@HHHH80sI", 3, 1, 1, 1, NAME, 0))
        fcntl.ioctl(self._file, DEV_CREATE)
        until(lambda: set(Path("/dev/input").glob("event*")) - before)
        (self.device,) = set(Path("/dev/input").glob("event*")) - before
        link.symlink_to(self.device)

    def key(self, value: int) -> None:
        """Down is 1, up is 0."""
        for event in ((EV_KEY, KEY_B, value), (EV_SYN, 0, 0)):
            os.write(self._file, struct.pack("@llHHi", 0, 0, *event))

    def unplug(self) -> None:
        self._link.unlink()
        fcntl.ioctl(self._file, DEV_DESTROY)
        os.close(self._file)


def until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + WAIT_S
    while not condition():
        assert time.monotonic() < deadline, "never happened"
        time.sleep(0.01)


@contextlib.contextmanager
def bystander(device: Path) -> Iterator[int]:
    """Whoever else reads the keyboard, as a console does."""
    file = os.open(device, os.O_RDONLY | os.O_NONBLOCK)
    try:
        yield file
    finally:
        os.close(file)


def heard(file: int) -> bool:
    try:
        return bool(os.read(file, 4096))
    except BlockingIOError:
        return False


def check(folder: Path) -> None:
    """Raises AssertionError for the first promise that is not kept."""
    link = folder / "usb-test-pedal-event-kbd"
    pedal, button = Pedal(link), EvdevButton(link)
    with bystander(pedal.device) as other:
        pedal.key(1)
        pedal.key(0)
        until(lambda: heard(other))
        presses = Presses([button], LONG_S)
        try:
            until(lambda: button.fileno() >= 0)
            pedal.key(1)
            time.sleep(0.1)
            pedal.key(0)
            assert presses.next(WAIT_S) == "start"
            pedal.key(1)
            assert presses.next(WAIT_S) == "stop"
            pedal.key(0)
            assert not heard(other), "its keys are ours alone"
            pedal.key(1)
            time.sleep(0.1)
            pedal.unplug()
            assert presses.next(3 * LONG_S) is None, "a plug that is pulled is no press"
            pedal = Pedal(link)
            until(lambda: button.fileno() >= 0)
            pedal.key(1)
            pedal.key(0)
            assert presses.next(WAIT_S) == "start", "a tap, after it was plugged in again"
        finally:
            presses.close()
            pedal.unplug()


if __name__ == "__main__":
    import tempfile

    with tempfile.TemporaryDirectory() as name:
        check(Path(name))
    print("a real pedal: pressed, held, grabbed, unplugged, plugged in again")  # noqa: T201
