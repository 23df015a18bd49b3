"""The button and the light, on gpiozero's mock pins."""

import os
import signal
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from gpiozero.pins.mock import MockPin

from agent.config import ControlsConfig
from agent.controls import presses
from agent.controls.light import LIGHT, LightState, lit_share
from agent.controls.panel import GpioControls, NoControls, UsbControls, open_controls
from agent.controls.presses import DEBOUNCE_S, DOUBLE_S, Contact
from agent.errors import ControlsError

LONG_S = 0.5
MOCK = ControlsConfig(pins="mock", long_press_s=LONG_S)


class Panel:
    """Controls with a finger on the button."""

    def __init__(self, config: ControlsConfig = MOCK) -> None:
        self.controls = GpioControls(config)
        button: Any = self.controls._button
        led: Any = self.controls._led
        self.contact: MockPin = button.pin
        self.light: MockPin = led.pin

    def press(self, seconds: float) -> None:
        self.contact.drive_low()
        time.sleep(seconds)
        self.contact.drive_high()

    def becomes(self, lit: bool) -> bool:
        """Whether the light does, in seconds."""
        until_s = time.monotonic() + 5
        while bool(self.light.state) != lit and time.monotonic() < until_s:
            time.sleep(0.005)
        return bool(self.light.state) == lit


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


def test_a_contact_that_bounces_as_it_opens_after_a_long_press_starts_nothing(panel: Panel) -> None:
    panel.contact.drive_low()
    assert panel.controls.action(5) == "stop"
    for _ in range(5):
        panel.contact.drive_high()
        panel.contact.drive_low()
    panel.contact.drive_high()
    assert panel.controls.action(0.2) is None


def test_a_spike_on_the_wire_is_no_press(panel: Panel) -> None:
    panel.contact.drive_low()
    panel.contact.drive_high()
    assert panel.controls.action(0.2) is None


def test_two_presses_are_two(panel: Panel) -> None:
    panel.press(0.1)
    time.sleep(DOUBLE_S + 0.2)
    panel.press(0.1)
    assert [panel.controls.action(5), panel.controls.action(5)] == ["start", "start"]


def test_two_presses_at_once_are_a_double_press(panel: Panel) -> None:
    panel.press(0.1)
    time.sleep(0.1)
    panel.press(0.1)
    assert panel.controls.action(5) == "check"
    assert panel.controls.action(DOUBLE_S + 0.2) is None


def test_the_mock_button_is_pressed_by_signal(panel: Panel) -> None:
    os.kill(os.getpid(), signal.SIGUSR1)
    time.sleep(0.1)
    os.kill(os.getpid(), signal.SIGUSR2)
    assert panel.controls.action(5) == "start"


@pytest.fixture
def second() -> Iterator[Panel]:
    """A panel whose finger is on the second button."""
    handlers = [signal.getsignal(each) for each in (signal.SIGUSR1, signal.SIGUSR2)]
    panel = Panel(replace(MOCK, activity_pin=22))
    button: Any = panel.controls._second
    panel.contact = button.pin
    yield panel
    panel.controls.close()
    for number, handler in zip((signal.SIGUSR1, signal.SIGUSR2), handlers, strict=True):
        signal.signal(number, handler)


def test_a_short_press_of_the_second_button_starts_with_its_activity(second: Panel) -> None:
    second.press(0.1)
    assert second.controls.action(5) == "start activity"
    assert second.controls.action(0.1) is None


def test_the_first_button_is_still_the_first(second: Panel) -> None:
    os.kill(os.getpid(), signal.SIGUSR1)
    time.sleep(0.1)
    os.kill(os.getpid(), signal.SIGUSR2)
    assert second.controls.action(5) == "start"


def test_the_second_button_ends_and_checks_as_the_first_does(second: Panel) -> None:
    second.press(3 * LONG_S)
    assert second.controls.action(5) == "stop"
    time.sleep(0.2)
    second.press(0.1)
    time.sleep(0.1)
    second.press(0.1)
    assert second.controls.action(5) == "check"


def test_the_light_answers_the_second_button(second: Panel) -> None:
    second.controls.show("measuring")
    assert second.becomes(True)
    second.contact.drive_low()
    assert second.becomes(False)
    second.contact.drive_high()
    assert second.becomes(True)


@pytest.mark.parametrize("state", LIGHT)
def test_whatever_is_shown_the_light_answers_a_press_though_nobody_asks_for_it(
    panel: Panel, state: LightState
) -> None:
    mostly = lit_share(state) >= 0.5
    panel.controls.show(state)
    assert panel.becomes(mostly)
    panel.contact.drive_low()
    assert panel.becomes(not mostly)
    time.sleep(0.3)  # longer than any wink, and than its being turned over
    assert bool(panel.light.state) is not mostly, "and stays so while the finger is down"
    panel.contact.drive_high()
    assert panel.becomes(mostly)


def test_what_a_press_brought_about_is_shown_at_once_though_the_finger_is_still_down(
    panel: Panel,
) -> None:
    panel.controls.show("measuring")
    panel.contact.drive_low()
    assert panel.controls.action(5) == "stop"
    panel.controls.show("finishing")
    assert panel.becomes(True)
    assert panel.becomes(False)
    assert panel.becomes(True)


def test_a_button_that_is_stuck_gives_the_light_back_and_works_again_once_it_comes_up(
    panel: Panel, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(presses, "STUCK_S", 0.2)
    monkeypatch.setattr(presses, "CODES_S", LONG_S + 0.1)
    panel.controls.show("measuring")
    assert panel.becomes(True)
    panel.contact.drive_low()
    assert panel.controls.action(5) == "stop"
    assert not panel.light.state
    assert panel.controls.action(5) == "codes"
    assert panel.becomes(True), "or it says for ever what isn't so"
    assert panel.controls.action(2 * LONG_S) is None
    assert "is it stuck?" in caplog.text
    panel.contact.drive_high()
    time.sleep(0.2)
    panel.press(0.1)
    assert panel.controls.action(5) == "start"


def test_a_button_that_is_stuck_keeps_the_other_one_from_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(presses, "STUCK_S", 0.1)
    monkeypatch.setattr(presses, "CODES_S", LONG_S + 0.1)
    down = {"stuck": True, "other": False}
    stuck, other = (Contact(lambda name=name: down[name]) for name in down)  # type: ignore[misc]
    buttons = presses.Presses([stuck, other], LONG_S)
    try:
        assert buttons.next(5) == "stop"
        assert buttons.next(5) == "codes"
        time.sleep(0.3)
        for down["other"] in (True, False):
            other.edge()
            time.sleep(0.2)
        assert buttons.next(5) == "start"
    finally:
        buttons.close()


def test_two_buttons_at_once_are_two_presses_and_light_up_once() -> None:
    down = {"one": False, "other": False}
    one, other = (Contact(lambda name=name: down[name]) for name in down)  # type: ignore[misc]
    felt: list[bool] = []
    buttons = presses.Presses([one, other], 5.0, felt.append)
    try:
        for name, contact in (("one", one), ("other", other)):
            down[name] = True
            contact.edge()
        time.sleep(0.3)
        for name, contact in (("one", one), ("other", other)):
            down[name] = False
            contact.edge()
            assert buttons.next(5) == "start"
            time.sleep(0.2)
    finally:
        buttons.close()
    assert felt == [True, False]


def test_closing_ends_all_threads_and_puts_the_light_out() -> None:
    controls = GpioControls(MOCK)
    led: Any = controls._led
    pin = led.pin
    controls.show("measuring")
    controls.close()
    assert not {"button", "light"} & {each.name for each in threading.enumerate()}
    assert not pin.state


def test_pins_that_cannot_be_used_are_said_with_what_was_expected() -> None:
    with pytest.raises(ControlsError, match="expected a button on GPIO 17 and a light on GPIO 17"):
        GpioControls(replace(MOCK, led_gpio=17))
    with pytest.raises(ControlsError, match="GPIO 17, a second button on GPIO 27 and a light"):
        GpioControls(replace(MOCK, activity_pin=27))


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_dead_button_thread_ends_the_process(panel: Panel) -> None:
    def broken() -> bool:
        raise RuntimeError

    panel.controls._presses._buttons[0].source.down = broken  # type: ignore[method-assign]
    panel.contact.drive_low()
    panel.controls._presses._thread.join(5)
    with pytest.raises(ControlsError, match="died"):
        panel.controls.action(0.01)


def test_without_controls_there_is_never_a_press() -> None:
    controls = open_controls(ControlsConfig("none"))
    assert isinstance(controls, NoControls)
    controls.show("ready")
    assert controls.action(0.01) is None
    controls.close()


def test_a_usb_button_works_without_pins_too(tmp_path: Path) -> None:
    controls = open_controls(ControlsConfig("none", input_device=tmp_path / "unplugged"))
    assert isinstance(controls, UsbControls)
    assert controls.action(0.01) is None
    controls.close()
