"""The button and the status light, on gpiozero; its mock pins stand in where there is no hardware.

A short press starts a session, a long press ends it. The light says what the device is doing in
patterns, not in colours: see LIGHT.
"""

import logging
import queue
import signal
import threading
import time
from collections.abc import Callable
from typing import Any, Literal, Protocol

Action = Literal["start", "stop"]
LightState = Literal["ready", "measuring", "unseen", "finishing", "fault"]

log = logging.getLogger(__name__)

# Seconds on and seconds off; None is steady.
LIGHT: dict[LightState, tuple[float, float] | None] = {
    "ready": (0.05, 2.95),  # a short wink: alive, and dark enough for a bedroom
    "measuring": None,  # steadily on
    "unseen": (0.5, 0.5),  # calm blinking: I can't see you
    "finishing": (0.1, 0.1),  # fast flicker, short
    "fault": (0.1, 0.9),  # short flashes, once a second
}

DEBOUNCE_S = 0.02  # push buttons bounce for a few milliseconds, seldom for more than ten


class Controls(Protocol):
    """What the loop of `watch` needs from the person's side."""

    def action(self, timeout_s: float) -> Action | None:
        """The next press, waiting at most `timeout_s` seconds for one."""

    def show(self, state: LightState) -> None:
        """Shows `state` from now on."""

    def close(self) -> None:
        """Lets go of the pins."""


class NoControls:
    """Neither button nor light: the device is used by command."""

    def action(self, timeout_s: float) -> Action | None:
        """Waits, and never has a press."""
        if timeout_s > 0:
            time.sleep(timeout_s)
        return None

    def show(self, state: LightState) -> None:
        """Shows nothing."""

    def close(self) -> None:
        """Has nothing to let go of."""


class GpioControls:
    """A button to ground on `button_gpio` and an LED on `led_gpio` (Broadcom numbers).

    `mock` takes gpiozero's mock pins: SIGUSR1 presses the button and SIGUSR2 releases it.
    """

    def __init__(
        self, button_gpio: int, led_gpio: int, long_press_s: float, *, mock: bool = False
    ) -> None:
        import gpiozero

        factory = _mock_factory() if mock else None
        # Not a Button: that wakes ten times a second to see if it is held.
        self._button = gpiozero.DigitalInputDevice(button_gpio, pull_up=True, pin_factory=factory)
        self._led = gpiozero.LED(led_gpio, pin_factory=factory)
        self._shown: LightState | None = None
        self._presses = Presses(lambda: bool(self._button.is_active), long_press_s)
        self._button.when_activated = self._button.when_deactivated = self._presses.edge
        if mock:
            _press_by_signal(self._button.pin)

    def action(self, timeout_s: float) -> Action | None:
        """The next press, waiting at most `timeout_s` seconds for one."""
        return self._presses.next(timeout_s)

    def show(self, state: LightState) -> None:
        """Shows `state` from now on."""
        if state == self._shown:
            return
        self._shown = state
        pattern = LIGHT[state]
        if pattern is None:
            self._led.on()
        else:
            self._led.blink(*pattern)

    def close(self) -> None:
        """Lets go of the pins and puts the light out."""
        self._presses.close()
        self._button.close()
        self._led.close()


class Presses:
    """Turns a contact's edges into short and long presses; the debouncing is done here.

    A long press counts as soon as it is long enough, so that the light can answer while the finger
    is still down; a short one when it is let go.
    """

    def __init__(self, pressed: Callable[[], bool], long_press_s: float) -> None:
        self._pressed = pressed
        self._long_press_s = long_press_s
        self._edge = threading.Event()
        self._closed = threading.Event()
        self._actions: queue.SimpleQueue[Action] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="button", daemon=True)
        self._thread.start()

    def edge(self) -> None:
        """The contact opened or closed: any number of times, from any thread."""
        self._edge.set()

    def next(self, timeout_s: float) -> Action | None:
        """The next press, waiting at most `timeout_s` seconds for one."""
        try:
            return self._actions.get(timeout=max(0.0, timeout_s))
        except queue.Empty:
            return None

    def close(self) -> None:
        """Ends the thread."""
        self._closed.set()
        self._edge.set()
        self._thread.join(timeout=self._long_press_s + 1)

    def _run(self) -> None:
        while not self._closed.is_set():
            if self._edge.wait(1.0) and self._settled():
                released = self._wait_for_release(self._long_press_s)
                self._actions.put("start" if released else "stop")
                while not (released or self._closed.is_set()):
                    released = self._wait_for_release(1.0)

    def _settled(self) -> bool:
        """Whether the button is down, once its contact has come to rest."""
        self._edge.clear()
        time.sleep(DEBOUNCE_S)
        return self._pressed()

    def _wait_for_release(self, timeout_s: float) -> bool:
        until = time.monotonic() + timeout_s
        while (left := until - time.monotonic()) > 0 and not self._closed.is_set():
            if self._edge.wait(left) and not self._settled():
                return True
        return not self._pressed()


def open_controls(
    pins: Literal["gpio", "mock", "none"], button_gpio: int, led_gpio: int, long_press_s: float
) -> Controls:
    """The controls that the configuration names."""
    if pins == "none":
        return NoControls()
    return GpioControls(button_gpio, led_gpio, long_press_s, mock=pins == "mock")


def _mock_factory() -> Any:
    from gpiozero.pins.mock import MockFactory

    return MockFactory()


def _press_by_signal(pin: Any) -> None:
    """SIGUSR1 closes the contact of a mock button and SIGUSR2 opens it."""
    signal.signal(signal.SIGUSR1, lambda *_: pin.drive_low())
    signal.signal(signal.SIGUSR2, lambda *_: pin.drive_high())
