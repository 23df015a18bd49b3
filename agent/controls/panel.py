"""The button and the status light, through gpiozero or, if so configured, its mock pins.

A short press starts a session, a long press ends it, a double press starts a check, a press of ten
seconds asks the camera to look for codes; the button is a GPIO contact or a USB button (`presses`).
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
    """The button and light, as the loop of `watch` needs them."""

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
    """A button to ground and an LED, on the configured GPIOs (Broadcom numbers).

    `usb` is a second button. With pins `mock`, gpiozero's mock pins are used: SIGUSR1 presses the
    button and SIGUSR2 releases it. Raises ControlsError if the pins can't be used.
    """

    has_light = True

    def __init__(self, config: ControlsConfig, usb: Source | None = None) -> None:
        self._button, self._led = _open_pins(config)
        self._light = Light(lambda lit: self._led.on() if lit else self._led.off())
        contact = Contact(lambda: bool(self._button.is_active))
        sources: list[Source] = [contact] if usb is None else [contact, usb]
        self._presses = Presses(sources, config.long_press_s, self._light.feedback)
        self._button.when_activated = self._button.when_deactivated = contact.edge
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
        self._button.when_activated = self._button.when_deactivated = None
        self._presses.close()
        self._light.close()
        self._button.close()
        self._led.close()


def open_controls(config: ControlsConfig) -> Controls:
    """Open the configured controls. Raises ControlsError."""
    device = config.input_device
    usb = None if device is None else EvdevButton(device, config.input_key)
    if config.pins != "none":
        return GpioControls(config, usb)
    return NoControls() if usb is None else UsbControls(usb, config.long_press_s)


def _open_pins(config: ControlsConfig) -> tuple[Any, Any]:
    """Open the pins of the button and of the LED."""
    import gpiozero

    factory = _mock_factory() if config.pins == "mock" else None
    try:
        # Not a gpiozero.Button: it wakes up ten times a second to see if it is held.
        button = gpiozero.DigitalInputDevice(config.button_gpio, pull_up=True, pin_factory=factory)
        return button, gpiozero.LED(config.led_gpio, pin_factory=factory)
    except Exception as error:  # lgpio's error is not a standard type
        raise ControlsError(
            f"expected a button on GPIO {config.button_gpio} and a light on GPIO {config.led_gpio},"
            f" found: {error}; if there are none, set [controls] pins"
        ) from error


def _mock_factory() -> Any:
    from gpiozero.pins.mock import MockFactory

    return MockFactory()


def _press_by_signal(pin: Any) -> None:
    """Make SIGUSR1 press a mock button and SIGUSR2 release it."""
    signal.signal(signal.SIGUSR1, lambda *_: pin.drive_low())
    signal.signal(signal.SIGUSR2, lambda *_: pin.drive_high())
