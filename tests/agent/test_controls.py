"""The button and the light, on gpiozero's mock pins."""

import os
import signal
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from gpiozero.pins.mock import MockPin

from agent.controls import DEBOUNCE_S, LIGHT, GpioControls, NoControls, open_controls

LONG_S = 0.5


class Panel:
    """Controls with a finger on the button."""

    def __init__(self) -> None:
        self.controls = GpioControls(17, 27, LONG_S, mock=True)
        button: Any = self.controls._button
        led: Any = self.controls._led
        self.contact: MockPin = button.pin
        self.light: MockPin = led.pin

    def press(self, seconds: float) -> None:
        self.contact.drive_low()
        time.sleep(seconds)
        self.contact.drive_high()


@pytest.fixture
def panel() -> Iterator[Panel]:
    handlers = [signal.getsignal(each) for each in (signal.SIGUSR1, signal.SIGUSR2)]
    panel = Panel()
    yield panel
    panel.controls.close()
    for number, handler in zip((signal.SIGUSR1, signal.SIGUSR2), handlers, strict=True):
        signal.signal(number, handler)


def test_a_short_press_starts(panel: Panel) -> None:
    panel.press(0.1)
    assert panel.controls.action(5) == "start"
    assert panel.controls.action(0.1) is None


def test_a_long_press_ends_while_the_finger_is_still_down(panel: Panel) -> None:
    panel.contact.drive_low()
    assert panel.controls.action(5) == "stop"
    panel.contact.drive_high()
    assert panel.controls.action(0.1) is None


def test_a_held_button_ends_once(panel: Panel) -> None:
    panel.press(3 * LONG_S)
    assert panel.controls.action(1) == "stop"
    assert panel.controls.action(2 * LONG_S) is None


def test_a_bouncing_contact_is_one_press(panel: Panel) -> None:
    for _ in range(5):
        panel.contact.drive_low()
        panel.contact.drive_high()
    panel.contact.drive_low()
    time.sleep(5 * DEBOUNCE_S)
    for _ in range(5):
        panel.contact.drive_high()
        panel.contact.drive_low()
    panel.contact.drive_high()
    assert panel.controls.action(5) == "start"
    assert panel.controls.action(0.2) is None


def test_a_spike_on_the_wire_is_no_press(panel: Panel) -> None:
    panel.contact.drive_low()
    panel.contact.drive_high()
    assert panel.controls.action(0.2) is None


def test_two_presses_are_two(panel: Panel) -> None:
    panel.press(0.1)
    time.sleep(0.1)
    panel.press(0.1)
    assert [panel.controls.action(5), panel.controls.action(5)] == ["start", "start"]


def test_the_mock_button_is_pressed_by_signal(panel: Panel) -> None:
    os.kill(os.getpid(), signal.SIGUSR1)
    time.sleep(0.1)
    os.kill(os.getpid(), signal.SIGUSR2)
    assert panel.controls.action(5) == "start"


def test_the_light_shows_each_state_in_a_pattern_of_its_own(panel: Panel) -> None:
    assert len(set(LIGHT.values())) == len(LIGHT)
    panel.controls.show("measuring")
    assert panel.light.state
    panel.controls.show("finishing")
    seen = {panel.light.state for _ in range(60) if not time.sleep(0.01)}
    assert seen == {True, False}


def test_closing_ends_the_buttons_thread() -> None:
    controls = GpioControls(17, 27, LONG_S, mock=True)
    controls.close()
    assert "button" not in {each.name for each in threading.enumerate()}


def test_without_controls_there_is_never_a_press() -> None:
    controls = open_controls("none", 17, 27, 1.5)
    assert isinstance(controls, NoControls)
    controls.show("ready")
    assert controls.action(0.01) is None
    controls.close()
