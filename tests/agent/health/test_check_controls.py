"""`doctor` on button and light."""

import fcntl
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import gpiozero
import pytest
from gpiozero.pins.mock import MockFactory, MockPin

from agent.config import ControlsConfig
from agent.health import check_controls


class StuckPin(MockPin):  # type: ignore[misc]
    """Wired to ground for good."""

    def _set_pull(self, value: str) -> None:
        super()._set_pull(value)
        self.drive_low()


@pytest.fixture
def pins() -> Iterator[Callable[[Any], None]]:
    """Mock pins of a class, as what gpiozero finds on this machine."""
    before = gpiozero.Device.pin_factory

    def use(kind: Any) -> None:
        gpiozero.Device.pin_factory = MockFactory(pin_class=kind)

    yield use
    gpiozero.Device.pin_factory = before


def test_a_button_that_nobody_presses_is_open(pins: Callable[[Any], None]) -> None:
    pins(MockPin)
    assert check_controls.button(ControlsConfig(), None).state == "ok"
    pins(StuckPin)
    stuck = check_controls.button(ControlsConfig(), None)
    assert stuck.state == "bad"
    assert "reads as pressed" in stuck.found


def test_a_second_button_is_checked_as_the_first_is(pins: Callable[[Any], None]) -> None:
    assert check_controls.second_button(ControlsConfig(), None).state == "off"
    pins(MockPin)
    finding = check_controls.second_button(ControlsConfig(activity_pin=22), None)
    assert (finding.state, finding.found[:8]) == ("ok", "GPIO 22:")
    pins(StuckPin)
    finding = check_controls.second_button(ControlsConfig(activity_pin=22), None)
    assert (finding.state, finding.found[:24]) == ("bad", "GPIO 22 reads as pressed")


def test_the_light_is_lit_briefly(pins: Callable[[Any], None]) -> None:
    pins(MockPin)
    assert "lit for 0.5 s" in check_controls.light(ControlsConfig(), None).found


def test_unavailable_pins_are_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpiozero.Device, "pin_factory", None)
    monkeypatch.setenv("GPIOZERO_PIN_FACTORY", "none_such")
    for look in (check_controls.button, check_controls.second_button, check_controls.light):
        finding = look(ControlsConfig(activity_pin=22), None)
        assert finding.state == "bad"
        assert "is not available" in finding.found


def test_a_line_in_use_by_another_program_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    def busy(*_: object, **__: object) -> Any:
        raise RuntimeError("'GPIO busy'")  # as lgpio says it

    monkeypatch.setattr(gpiozero, "LED", busy)
    finding = check_controls.light(ControlsConfig(), None)
    assert "in use by another program" in finding.found


def test_pins_in_use_by_watch_or_not_configured_are_not_touched() -> None:
    for look in (check_controls.button, check_controls.second_button, check_controls.light):
        used = look(ControlsConfig(activity_pin=22), 7)
        assert "in use by blink-agent watch (process 7)" in used.found
        assert look(ControlsConfig(pins="none", activity_pin=22), 7).state == "off"
        assert look(ControlsConfig(pins="mock", activity_pin=22), None).state == "off"


def test_a_usb_button_is_there_and_has_keys(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert check_controls.input_button(None).state == "off"
    assert "does not exist" in check_controls.input_button(tmp_path / "pedal").found
    assert "has no keys" in check_controls.input_button(Path("/dev/null")).found
    monkeypatch.setattr(fcntl, "ioctl", lambda *_: bytes(96))
    assert check_controls.input_button(Path("/dev/null")).state == "ok"
