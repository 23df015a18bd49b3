"""The button and the status light, through gpiozero or, if so configured, its mock pins.

A short press starts a session, a long press ends it, a double press starts a check, and a press of
ten seconds makes the camera look for codes. The button is a GPIO contact or a USB button
(`presses`). A short press of the second button, also a GPIO contact, starts a session with an
activity; its other presses act as on the first button.
The light shows the device's state in patterns, not colours (`light`). It confirms a press by
itself, even while the rest of the device is busy.
"""

import signal
import time
from typing import Any, Protocol

from agent.config import ControlsConfig
from agent.controls.light import Light, LightState
from agent.controls.presses import Action, Contact, Presses, Source
from agent.controls.usb_button import EvdevButton
from agent.errors import ControlsError


class Controls(Protocol):
    """What the main loop of `watch` needs of the button and the light."""

    has_light: bool

    def action(self, timeout_s: float) -> Action | None:
        """Return the next action, or None after `timeout_s` seconds."""

    def show(self, state: LightState) -> None:
        """Show `state` on the light from now on."""

    def close(self) -> None:
        """Release the pins."""


class NoControls:
    """No button and no light: the device is controlled by commands only."""

    has_light = False

    def action(self, timeout_s: float) -> Action | None:
        """Wait `timeout_s` seconds and return None."""
        if timeout_s > 0:
            time.sleep(timeout_s)
        return None

    def show(self, state: LightState) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Do nothing."""


class UsbControls:
    """A USB button without a light."""

    has_light = False

    def __init__(self, button: Source, long_press_s: float) -> None:
        self._presses = Presses([button], long_press_s)

    def action(self, timeout_s: float) -> Action | None:
        """Return the next action, or None after `timeout_s` seconds."""
        return self._presses.next(timeout_s)

    def show(self, state: LightState) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Release the button."""
        self._presses.close()


class GpioControls:
    """Buttons to ground and an LED, on the configured GPIOs (Broadcom numbers).

    `usb` does the same as the button. With pins `mock`, gpiozero's mock pins are used: SIGUSR1
    presses the button and SIGUSR2 releases it. Raises ControlsError if the pins can't be used.
    """

    has_light = True

    def __init__(self, config: ControlsConfig, usb: Source | None = None) -> None:
        self._button, self._led, self._second = _open_pins(config)
        self._light = Light(lambda lit: self._led.on() if lit else self._led.off())
        contact = _contact(self._button)
        sources: list[Source] = [contact] if usb is None else [contact, usb]
        second = None if self._second is None else _contact(self._second)
        self._presses = Presses(sources, config.long_press_s, self._light.feedback, second)
        if config.pins == "mock":
            _press_by_signal(self._button.pin)

    def action(self, timeout_s: float) -> Action | None:
        """Return the next action, or None after `timeout_s` seconds."""
        return self._presses.next(timeout_s)

    def show(self, state: LightState) -> None:
        """Show `state` on the light from now on."""
        self._light.show(state)

    def close(self) -> None:
        """Release the pins and switch the light off."""
        buttons = [each for each in (self._button, self._second) if each is not None]
        for each in buttons:
            each.when_activated = each.when_deactivated = None
        self._presses.close()
        self._light.close()
        for each in (*buttons, self._led):
            each.close()


def open_controls(config: ControlsConfig) -> Controls:
    """Open the configured controls. Raises ControlsError."""
    device = config.input_device
    usb = None if device is None else EvdevButton(device, config.input_key)
    if config.pins != "none":
        return GpioControls(config, usb)
    return NoControls() if usb is None else UsbControls(usb, config.long_press_s)


def _contact(button: Any) -> Contact:
    """Return a Contact for a pin, and notify it of each edge of the pin."""
    contact = Contact(lambda: bool(button.is_active))
    button.when_activated = button.when_deactivated = contact.edge
    return contact


def _open_pins(config: ControlsConfig) -> tuple[Any, Any, Any]:
    """Open the pins of the button, of the LED and of the second button, which may be None."""
    import gpiozero

    factory = _mock_factory() if config.pins == "mock" else None

    def button(gpio: int) -> Any:
        # Not a gpiozero.Button: it wakes up ten times a second to see if it is held.
        return gpiozero.DigitalInputDevice(gpio, pull_up=True, pin_factory=factory)

    first, second = config.button_gpio, config.activity_pin
    try:
        led = gpiozero.LED(config.led_gpio, pin_factory=factory)
        return button(first), led, None if second is None else button(second)
    except Exception as error:  # lgpio's error is not a standard type
        also = "" if second is None else f", a second button on GPIO {second}"
        raise ControlsError(
            f"expected a button on GPIO {first}{also} and a light on GPIO {config.led_gpio},"
            f' found: {error}; if there are none, set pins = "none" in [controls]'
        ) from error


def _mock_factory() -> Any:
    from gpiozero.pins.mock import MockFactory

    return MockFactory()


def _press_by_signal(pin: Any) -> None:
    """Make SIGUSR1 press a mock button and SIGUSR2 release it."""
    signal.signal(signal.SIGUSR1, lambda *_: pin.drive_low())
    signal.signal(signal.SIGUSR2, lambda *_: pin.drive_high())
