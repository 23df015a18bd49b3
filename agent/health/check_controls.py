"""Checks of the button and the light."""

import contextlib
import fcntl
import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from agent.config import ControlsConfig
from agent.health.doctor import Finding, bad, off, ok

LIT_S = 0.5
_HELD = 0x80604518  # EVIOCGKEY of 96 bytes: only an input device with keys answers it
_PINS = "is this a Raspberry Pi, and may this user use GPIO? sudo blink-agent doctor"


def button(config: ControlsConfig, holder: int | None) -> Finding:
    """Check that the button's GPIO line is available and that the button is not stuck.

    `holder` is the process of `watch` if that has the line open.
    """
    return _button(config, config.button_gpio, holder)


def second_button(config: ControlsConfig, holder: int | None) -> Finding:
    """Check the second button, if there is one, as `button` does the first."""
    if config.activity_pin is None:
        return off("none is configured")
    return _button(config, config.activity_pin, holder)


def _button(config: ControlsConfig, gpio: int, holder: int | None) -> Finding:
    if (finding := _without_pin(config, f"GPIO {gpio}", holder)) is not None:
        return finding
    import gpiozero

    try:
        with _in_temporary_directory():
            line = gpiozero.DigitalInputDevice(gpio, pull_up=True)
            pressed = bool(line.is_active)
            line.close()
    except Exception as error:  # each pin library raises its own
        return _refused(f"GPIO {gpio}", error)
    if pressed:
        return bad(
            f"GPIO {gpio} reads as pressed: if nobody presses it, it is stuck or"
            " permanently wired to ground",
            "disconnect the button: does the check pass now?",
        )
    return ok(f"GPIO {gpio}: open, as it should be while nobody presses it")


def light(config: ControlsConfig, holder: int | None) -> Finding:
    """Check that the light's GPIO line is available, and light it briefly for a person to see."""
    if (finding := _without_pin(config, f"GPIO {config.led_gpio}", holder)) is not None:
        return finding
    import gpiozero

    try:
        with _in_temporary_directory():
            led = gpiozero.LED(config.led_gpio)
            led.on()
            time.sleep(LIT_S)
            led.close()
    except Exception as error:  # each pin library raises its own
        return _refused(f"GPIO {config.led_gpio}", error)
    return ok(f"GPIO {config.led_gpio}: lit for {LIT_S:g} s; did you see it?")


def input_button(path: Path | None) -> Finding:
    """Check that a foot switch or USB button is plugged in and has keys."""
    if path is None:
        return off("none is configured")
    try:
        file = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return bad(f"{path} does not exist", "plug it in; find its name: ls /dev/input/by-id/")
    except OSError as error:
        return bad(f"{path}: {error.strerror}", "may this user read it? sudo blink-agent doctor")
    try:
        fcntl.ioctl(file, _HELD, bytes(96))
    except OSError:
        return bad(f"{path} has no keys", "find its name: ls /dev/input/by-id/")
    finally:
        os.close(file)
    return ok(f"{path}: present, with keys")


@contextlib.contextmanager
def _in_temporary_directory() -> Iterator[None]:
    """Run in a temporary directory: lgpio leaves a file in the working directory."""
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        yield


def _without_pin(config: ControlsConfig, line: str, holder: int | None) -> Finding | None:
    """Return a finding if no pin need be touched, or else None."""
    if config.pins == "none":
        return off("none is configured: the device is controlled by commands")
    if config.pins == "mock":
        return off(f"{line} is mocked, as configured: no hardware")
    if holder is not None:
        return ok(f"{line}: in use by blink-agent watch (process {holder})")
    return None


def _refused(line: str, error: Any) -> Finding:
    said = str(error) or type(error).__name__
    if "busy" in said.lower():
        return bad(f"{line} is in use by another program: {said}", "find it: sudo gpioinfo")
    return bad(f"{line} is not available: {said}", _PINS)
