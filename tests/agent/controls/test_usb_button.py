"""A foot switch or USB button: real records of the kernel's, in a pipe that stands for the device.

Only the two requests that a pipe does not know are stood in for.
"""

import fcntl
import os
import signal
import struct
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from agent.config import ControlsConfig
from agent.controls import usb_button
from agent.controls.panel import GpioControls
from agent.controls.presses import Action, Presses
from agent.controls.usb_button import EvdevButton

KEY_B, KEY_ENTER = 48, 28
UP, DOWN, REPEATED = 0, 1, 2
LONG_S = 0.5


class Pedal:
    """A device's end of the pipe."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.requests: list[int] = []
        self.held: set[int] = set()
        self.plug_in()

    def plug_in(self) -> None:
        os.mkfifo(self.path)
        self._file = os.open(self.path, os.O_RDWR | os.O_NONBLOCK)  # so that it has no end yet

    def unplug(self) -> None:
        """Gone from /dev, and at its end for whoever has it open."""
        self.path.unlink()
        os.close(self._file)

    def send(self, *events: tuple[int, int, int]) -> None:
        os.write(self._file, b"".join(struct.pack("@llHHi", 0, 0, *each) for each in events))

    def key(self, value: int, code: int = KEY_B) -> None:
        """As the kernel sends it: scan code, key, and the end of the report."""
        self.send((4, 4, 458757), (1, code, value), (0, 0, 0))

    def ioctl(self, file: int, request: int, argument: Any = 0) -> Any:
        self.requests.append(request)
        if request & 0xFF == 0x18:  # EVIOCGKEY
            bits = bytearray(len(argument))
            for code in self.held:
                bits[code // 8] |= 1 << code % 8
            return bytes(bits)
        return 0


@pytest.fixture
def pedal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Pedal]:
    pedal = Pedal(tmp_path / "usb-pedal-event-kbd")
    monkeypatch.setattr(fcntl, "ioctl", pedal.ioctl)
    monkeypatch.setattr(usb_button, "RETRY_S", 0.05)
    yield pedal
    if pedal.path.exists():
        pedal.unplug()


@pytest.fixture
def presses(pedal: Pedal) -> Iterator[Presses]:
    button = EvdevButton(pedal.path)
    presses = Presses([button], LONG_S)
    until(lambda: button.fileno() >= 0)
    yield presses
    presses.close()


def until(condition: Any) -> None:
    deadline = time.monotonic() + 5
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def tap(pedal: Pedal, presses: Presses) -> Action | None:
    pedal.key(DOWN)
    time.sleep(0.1)
    pedal.key(UP)
    return presses.next(5)


def test_a_short_press_starts_and_a_long_one_ends(pedal: Pedal, presses: Presses) -> None:
    assert tap(pedal, presses) == "start"
    pedal.key(DOWN)
    assert presses.next(5) == "stop"
    pedal.key(REPEATED)
    pedal.key(UP)
    assert presses.next(0.2) is None


def test_a_pedal_that_types_its_key_all_at_once_starts_too(pedal: Pedal, presses: Presses) -> None:
    pedal.send((1, KEY_B, DOWN), (0, 0, 0), (1, KEY_B, UP), (0, 0, 0))
    assert presses.next(5) == "start"
    assert presses.next(0.2) is None


def test_a_pedal_that_types_several_keys_is_one_press(pedal: Pedal, presses: Presses) -> None:
    pedal.send((1, KEY_B, DOWN), (1, KEY_ENTER, DOWN), (0, 0, 0))
    pedal.send((1, KEY_B, UP), (0, 0, 0))
    time.sleep(0.1)
    pedal.send((1, KEY_ENTER, UP), (0, 0, 0))
    assert presses.next(5) == "start"
    assert presses.next(0.2) is None


def test_the_device_is_taken_for_us_so_that_its_keys_reach_no_console(
    pedal: Pedal, presses: Presses
) -> None:
    assert pedal.requests == [0x40044590]  # EVIOCGRAB of linux/input.h


def test_movements_and_other_keys_are_no_presses(pedal: Pedal) -> None:
    button = EvdevButton(pedal.path, KEY_ENTER)
    assert button.down() is False
    pedal.send((2, 0, 5), (3, 1, 700), (0, 0, 0))
    pedal.key(DOWN, KEY_B)
    assert button.down() is False
    pedal.key(DOWN, KEY_ENTER)
    assert button.down() is True
    button.close()


def test_unplugged_and_plugged_in_again_it_works_as_before(pedal: Pedal, presses: Presses) -> None:
    pedal.unplug()
    time.sleep(0.2)
    pedal.plug_in()
    button = presses._buttons[0].source
    until(lambda: button.fileno() >= 0)
    assert tap(pedal, presses) == "start"


def test_a_plug_pulled_with_the_foot_on_the_pedal_is_no_press(
    pedal: Pedal, presses: Presses
) -> None:
    pedal.key(DOWN)
    time.sleep(0.1)
    pedal.unplug()
    assert presses.next(2 * LONG_S) is None


def test_after_a_flood_the_keys_that_are_really_down_count(pedal: Pedal) -> None:
    button = EvdevButton(pedal.path)
    button.down()
    pedal.key(DOWN, KEY_B)
    pedal.key(DOWN, KEY_ENTER)
    pedal.held = {KEY_B}
    pedal.send((0, 3, 0))
    time.sleep(0.1)
    assert button.down() is True
    pedal.key(UP, KEY_B)
    until(lambda: button.down() is False)
    button.close()


def test_a_device_that_never_stops_talking_keeps_nobody(pedal: Pedal) -> None:
    button = EvdevButton(pedal.path)
    button.down()
    for _ in range(15):
        pedal.send(*[(2, 0, 1)] * 90)
    assert button.down() is False
    left = os.read(button.fileno(), 1 << 17)
    assert left, "there was more than it took at once"
    button.close()


def test_what_is_no_input_device_is_said_once_and_looked_for_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(usb_button, "RETRY_S", 0.0)
    caplog.set_level("INFO")
    path = tmp_path / "file"
    path.write_bytes(b"")
    button = EvdevButton(path)
    assert [button.down() for _ in range(3)] == [None, None, None]
    path.unlink()
    assert button.down() is None
    assert len(caplog.messages) == 2
    assert "can't be used as a button: Inappropriate ioctl" in caplog.messages[0]
    assert "No such file" in caplog.messages[1]


def test_pedal_and_button_work_side_by_side(pedal: Pedal) -> None:
    before = [signal.getsignal(each) for each in (signal.SIGUSR1, signal.SIGUSR2)]
    controls = GpioControls(
        ControlsConfig(pins="mock", long_press_s=LONG_S), EvdevButton(pedal.path)
    )
    pin: Any = controls._button.pin
    try:
        assert tap(pedal, controls._presses) == "start"
        pin.drive_low()
        assert controls.action(5) == "stop"
        pin.drive_high()
    finally:
        controls.close()
        for number, handler in zip((signal.SIGUSR1, signal.SIGUSR2), before, strict=True):
            signal.signal(number, handler)
