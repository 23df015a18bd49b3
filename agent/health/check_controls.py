"""Checks of what a person touches and sees: the button and the light."""

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
_HELD = 0x80604518  # EVIOCGKEY of 96 bytes: what only an input device with keys answers
_PINS = "is this a Raspberry Pi, and may this user use GPIO? sudo blink-agent doctor"


def button(wish: ControlsConfig, holder: int | None) -> Finding:
    """Whether its line can be had and it is not stuck. `holder`: the process of `watch`."""
    if (finding := _no_pin(wish, f"GPIO {wish.button_gpio}", holder)) is not None:
        return finding
    import gpiozero

    try:
        with _elsewhere():
            line = gpiozero.DigitalInputDevice(wish.button_gpio, pull_up=True)
            pressed = bool(line.is_active)
            line.close()
    except Exception as error:  # each pin library has its own
        return _refused(f"GPIO {wish.button_gpio}", error)
    if pressed:
        return bad(
            f"GPIO {wish.button_gpio} reads as pressed: if nobody presses it, it is stuck or"
            " wired to ground for good",
            "take the button's wires off: is it well then?",
        )
    return ok(f"GPIO {wish.button_gpio}: open, as it should be while nobody presses it")


def light(wish: ControlsConfig, holder: int | None) -> Finding:
    """Whether its line can be had; it is lit for a moment, which a person has to see."""
    if (finding := _no_pin(wish, f"GPIO {wish.led_gpio}", holder)) is not None:
        return finding
    import gpiozero

    try:
        with _elsewhere():
            led = gpiozero.LED(wish.led_gpio)
            led.on()
            time.sleep(LIT_S)
            led.close()
    except Exception as error:  # each pin library has its own
        return _refused(f"GPIO {wish.led_gpio}", error)
    return ok(f"GPIO {wish.led_gpio}: lit for {LIT_S:g} s; did you see it?")


def input_button(path: Path | None) -> Finding:
    """Whether a foot switch or USB button is there and has keys."""
    if path is None:
        return off("none is configured")
    try:
        file = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return bad(f"{path} is not there", "plug it in; its name: ls /dev/input/by-id/")
    except OSError as error:
        return bad(f"{path}: {error.strerror}", "may this user read it? sudo blink-agent doctor")
    try:
        fcntl.ioctl(file, _HELD, bytes(96))
    except OSError:
        return bad(f"{path} is no device with keys", "its name: ls /dev/input/by-id/")
    finally:
        os.close(file)
    return ok(f"{path}: there, with keys")


@contextlib.contextmanager
def _elsewhere() -> Iterator[None]:
    """lgpio leaves a file in the working directory, whatever that is."""
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        yield


def _no_pin(wish: ControlsConfig, line: str, holder: int | None) -> Finding | None:
    """What there is to say without touching a pin."""
    if wish.pins == "none":
        return off("none is configured: the device is used by command")
    if wish.pins == "mock":
        return off(f"{line} is a stand-in, as configured: no hardware")
    if holder is not None:
        return ok(f"{line}: blink-agent watch has it (process {holder})")
    return None


def _refused(line: str, error: Any) -> Finding:
    said = str(error) or type(error).__name__
    if "busy" in said.lower():
        return bad(f"{line} is somebody else's: {said}", "sudo gpioinfo: who holds it?")
    return bad(f"{line} can't be had: {said}", _PINS)
