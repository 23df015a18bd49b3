"""Aiming: show on the light and in a file how well the camera sees the eyes. No session runs.

It ends by itself, so that a forgotten page does not keep the camera on. A press starts a session.
"""

import logging
import threading
from collections.abc import Callable

from agent.clock import Clock
from agent.controls.panel import Controls
from agent.errors import StoreError
from agent.measure.aim import Aim
from agent.measure.recording import Tracker
from agent.records import Camera, Store
from agent.system import systemd
from agent.system.view_file import ViewFile
from agent.watch.request import Request

log = logging.getLogger(__name__)

AIM_S = 60.0
"""An `aim` command is valid for this long. Who is still looking repeats it every `REPEAT_S`."""

REPEAT_S = 20.0

SHOWN_S = 0.2
"""Views are written five times a second."""

COMMANDS_S = 0.5
"""How often to look for commands."""


class Aiming:
    """Aims until it is over. `timeout_s` is the timeout for a frame."""

    def __init__(
        self,
        camera: Camera,
        tracker: Tracker,
        controls: Controls,
        store: Store,
        clock: Clock,
        file: ViewFile,
        timeout_s: float,
    ) -> None:
        self._camera = camera
        self._tracker = tracker
        self._controls = controls
        self._store = store
        self._clock = clock
        self._file = file
        self._timeout_s = timeout_s

    def run(self, stopping: threading.Event) -> Request:
        """Aim until a press, another command, the end of the time, or `stopping`.

        Return what was asked for meanwhile. Raises CameraError.
        """
        log.info("aiming")
        systemd.status("aiming")
        aim, number = Aim(), 0
        self._tracker.reset()
        self._until_s = self._clock.monotonic_s() + AIM_S
        self._look_s = shown_s = 0.0
        try:
            while not stopping.is_set() and self._clock.monotonic_s() < self._until_s:
                frame = self._camera.read(self._timeout_s)
                if frame is None:
                    return Request()
                systemd.watchdog()
                view = aim.add(frame, self._tracker.find(frame))
                now_s = self._clock.monotonic_s()
                if now_s - shown_s >= SHOWN_S:
                    shown_s, number = now_s, number + 1
                    self._controls.show("measuring" if view.good else "unseen")
                    self._file.write({"number": number, **view.as_json()})
                request = self._asked(now_s)
                if request is not None:
                    return request
            return Request()
        finally:
            self._file.remove()
            systemd.status("ready")
            log.info("aiming ended")

    def _asked(self, now_s: float) -> Request | None:
        """Return what a press or a command asks for; None to go on aiming."""
        action = self._controls.action(0)
        if action is not None:
            return Request(None if action == "stop" else action)
        if now_s - self._look_s < COMMANDS_S:
            return None
        self._look_s = now_s
        try:
            command = self._store.take_command()
        except StoreError as error:  # no reason to end
            log.debug("can't look for commands: %s", error)
            return None
        if command is None:
            return None
        if command["command"] == "aim":
            self._until_s = now_s + AIM_S
            return None
        return Request() if command["command"] == "stop" else Request.of(command)


Aimer = Callable[[threading.Event], Request]
"""`Aiming.run`."""
