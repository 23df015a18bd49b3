"""Checking the counting: ask by the light, measure, and judge. See `agent.measure.check`.

The result is a session document with the key `check`. It is written once, at the end: a check
that is stopped or interrupted leaves nothing. A long press or a `stop` command ends it.
"""

import logging
import threading
from collections.abc import Callable, Mapping

from agent.clock import Clock
from agent.controls.light import LightState
from agent.controls.panel import Controls
from agent.errors import StoreError
from agent.measure.check import Asked, Step, Steps, judge, sentence
from agent.measure.recording import Recording
from agent.records import Camera, Document, Store
from agent.system import systemd
from agent.system.view_file import ViewFile

log = logging.getLogger(__name__)

COMMANDS_S = 0.5
"""How often to look for commands."""

FLASH_S = 0.6
"""After this the light for a blink is taken back, so that the next one can begin."""

LIGHTS: Mapping[Step, LightState] = {
    "settle": "measuring",
    "blink": "ask_blink",
    "rest": "off",
    "down": "ask_down",
    "up": "off",
    "shut": "ask_shut",
    "open": "off",
    "done": "finishing",
}
"""What the light shows when a step begins."""

Down = Callable[[float, float], None]
"""Called with the start and end of each look down, in seconds."""


class Checking:
    """Checks once for each `run`. `timeout_s` is the timeout for a frame."""

    def __init__(
        self,
        camera: Camera,
        record: Callable[[str | None, Down], Recording],
        controls: Controls,
        store: Store,
        clock: Clock,
        file: ViewFile,
        timeout_s: float,
    ) -> None:
        self._camera = camera
        self._record = record
        self._controls = controls
        self._store = store
        self._clock = clock
        self._file = file
        self._timeout_s = timeout_s

    def run(self, session_id: str | None, stopping: threading.Event) -> Document | None:
        """Return the document of a whole check; None if it was stopped. Raises CameraError."""
        downs: list[tuple[float, float]] = []
        recording = self._record(session_id, lambda *stretch: downs.append(stretch))
        log.info("check %s started", recording.session_id)
        systemd.status("checking the counting")
        try:
            asked = self._ask(recording, stopping)
        finally:
            self._file.remove()
            systemd.status("ready")
        if asked is None:
            log.info("check %s was stopped", recording.session_id)
            return None
        return _document(recording, asked, downs)

    def _ask(self, recording: Recording, stopping: threading.Event) -> list[Asked] | None:
        """Go through the steps; return when each began, or None if it was stopped."""
        steps: Steps | None = None
        self._look_s = self._clock.monotonic_s()
        while not stopping.is_set():
            frame = self._camera.read(self._timeout_s)
            if frame is None:
                return None
            systemd.watchdog()
            recording.frames_dropped = self._camera.frames_dropped
            recording.add(frame)
            if steps is None:
                steps = Steps(frame.time_s)
                self._show(steps)
            if steps.at(frame.time_s) is not None:
                self._show(steps)
            elif steps.step == "blink" and frame.time_s - steps.asked[-1].time_s >= FLASH_S:
                self._controls.show("off")
            if steps.step == "done":
                return steps.asked
            if self._stopped(recording.session_id):
                return None
        return None

    def _show(self, steps: Steps) -> None:
        self._controls.show(LIGHTS[steps.step])
        self._file.write(
            {"number": len(steps.asked), "step": steps.step, "blinks_asked": steps.number}
        )

    def _stopped(self, session_id: str) -> bool:
        if self._controls.action(0) == "stop":
            return True
        now_s = self._clock.monotonic_s()
        if now_s - self._look_s < COMMANDS_S:
            return False
        self._look_s = now_s
        try:
            command = self._store.take_command()
        except StoreError as error:  # no reason to end
            log.debug("can't look for commands: %s", error)
            return False
        if command is None or command["command"] != "stop":
            return False
        return command.get("session_id") in (None, session_id)


def _document(
    recording: Recording, asked: list[Asked], downs: list[tuple[float, float]]
) -> Document:
    """Return the session's document with its `check`.

    If the session measured no counts, neither blinks nor closures are found.
    """
    document = recording.finish("time_limit")
    counted = document["metrics"]["blink_count"] is not None
    check = judge(asked, recording.events if counted else [], downs).as_json()
    log.info("check %s: %s", recording.session_id, sentence(check))
    return {**document, "check": check}


Checker = Callable[[str | None, threading.Event], Document | None]
"""`Checking.run`."""
