"""The loop of `blink-agent watch`: wait for the button, measure a session, save it.

It also looks for codes: see `agent.watch.codes`.
"""

import contextlib
import logging
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from agent.clock import Clock
from agent.controls.light import LightState
from agent.controls.panel import Controls
from agent.errors import (
    AgentError,
    CameraError,
    ControlsError,
    ModelError,
    StoreBusyError,
    StoreError,
)
from agent.measure.document import EndedBy, State
from agent.measure.recording import Recording
from agent.records import Camera, Store
from agent.system import systemd
from agent.system.worker import Worker
from agent.watch.aiming import Aimer
from agent.watch.checking import Checker
from agent.watch.checkpoints import Checkpoints
from agent.watch.codes import Codes, Look
from agent.watch.idle import Idle
from agent.watch.request import Request
from agent.watch.saving import begin, note
from agent.watch.upkeep import Upkeep

log = logging.getLogger(__name__)

IDLE_S = 0.5  # how often to look for commands; a press is noticed at once
UNSEEN_S = 2.0  # longer than any blink, so that blinks don't change the light
RESULT_S = 5.0  # how long the light shows whether a check was passed
FAULT_S = 10.0  # how long to show a fault before the process exits; less than any WatchdogSec

DEVICE_FAULTS = (CameraError, ModelError, StoreError, ControlsError)


@dataclass(frozen=True, slots=True)
class Limits:
    """Time limits in seconds, and how many delivered sessions to keep.

    `session_s` is the longest session, `checkpoint_s` the time between checkpoints, `frame_s` the
    timeout for a frame.
    """

    session_s: float
    checkpoint_s: float
    frame_s: float
    keep_sessions: int


class Watch:
    """Owns the camera and the controls, and writes the sessions.

    The failure policy: if the camera stops delivering frames, the session ends as `camera_fault`
    and the process exits; systemd then restarts the process, and with it the camera. The process
    also exits if the camera is unplugged between two sessions. If the store can't be written, new
    sessions are refused and the light shows a fault. If the store fails during a session, the light
    shows a fault and the next checkpoint tries again. A final document that the store can't take is
    written to a file beside it, or kept in memory if that fails too, and is tried again. While
    another program locks the store, sessions start and end as usual. Before the process exits, the
    light shows a fault: see `showing_faults`.

    `reminds` is whether the light may ask for blinks; a device without a light can't.
    """

    def __init__(
        self,
        camera: Camera,
        record: Callable[[Request], Recording],
        store: Store,
        worker: Worker[Store],
        controls: Controls,
        clock: Clock,
        limits: Limits,
        aim: Aimer,
        check: Checker,
        codes: Codes | None = None,
        reminds: bool = False,
    ) -> None:
        self._camera = camera
        self._check = check
        self._reminds = reminds
        self._aim = aim
        self._record = record
        self._store = store
        self._worker = worker
        self._controls = controls
        self._clock = clock
        self._limits = limits
        self._codes = codes
        self._idle = Idle(store, clock)
        self._upkeep = Upkeep(store, clock, limits.keep_sessions)

    def run(self, stopping: threading.Event) -> None:
        """Measure session after session until `stopping` is set."""
        self._upkeep.step()
        systemd.ready()
        systemd.status("ready")
        try:
            if self._codes is not None and not self._codes.has_owner():
                self._look_for_codes(self._codes, stopping)
            while not stopping.is_set():
                systemd.watchdog()
                self._camera.check()
                request = self._idle_step()
                if request.action == "aim":
                    request = self._aiming(stopping)
                while request.action == "check":
                    request = self._checking(request.session_id, stopping)
                if request.starts:
                    self._session(request, stopping)
                elif request.action == "codes" and self._codes is not None:
                    self._look_for_codes(self._codes, stopping)
        finally:
            self._upkeep.last_try()
        systemd.stopping()
        self._controls.show("off")  # no longer ready
        note(self._store, {"state": "stopped"})

    def _idle_step(self) -> Request:
        """Show the state, do the upkeep, and return what is asked for next.

        A store that fails ends the process, unless it is only locked, or a document exists in
        memory alone.
        """
        try:
            self._controls.show("fault" if self._upkeep.unsaved else self._idle.light())
            self._upkeep.step()
            return self._next_request(IDLE_S)
        except StoreError as error:
            if not (self._upkeep.unsaved or isinstance(error, StoreBusyError)):
                raise
            log.debug("the store can't be used: %s", error)
            return Request(self._controls.action(IDLE_S))

    def _next_request(self, timeout_s: float) -> Request:
        """Return what the button or a command asks for."""
        action = self._controls.action(timeout_s)
        if action is not None:
            return Request(action)
        return Request.of(self._store.take_command())

    def _aiming(self, stopping: threading.Event) -> Request:
        """Aim the camera; return what ended it."""
        self._controls.show("starting")
        self._camera.start()
        systemd.watchdog()
        with on_exit(self._camera.stop):
            return self._aim(stopping)

    def _look_for_codes(self, codes: Codes, stopping: threading.Event) -> None:
        """Look for codes; no session can begin meanwhile."""
        log.info("looking for codes")
        systemd.status("looking for codes")
        note(self._store, {"state": "looking"})
        self._camera.start()
        systemd.watchdog()  # as in `_measure`
        with on_exit(self._camera.stop):
            Look(codes, self._camera, self._controls, self._clock).run(
                stopping, self._limits.frame_s, self._command_waits
            )
        note(self._store, {"state": "ready"})
        systemd.status("ready")

    def _command_waits(self) -> bool:
        try:
            return self._store.next_command() is not None
        except StoreError as error:
            log.debug("the store can't be used: %s", error)
            return False

    def _checking(self, session_id: str | None, stopping: threading.Event) -> Request:
        """Check the counting, and show the result; return what a press asks for meanwhile."""
        self._controls.show("starting")
        self._camera.start()
        systemd.watchdog()
        with on_exit(self._camera.stop):
            document = self._check(session_id, stopping)
        if document is None:
            return Request()
        self._upkeep.finished(document)
        facts = {key: document[key] for key in ("session_id", "started_at", "agent")}
        note(self._store, {**facts, **document["check"]}, "check")
        systemd.watchdog()
        self._controls.show("measuring" if document["check"]["passed"] else "unseen")
        return Request(self._controls.action(RESULT_S))

    def _session(self, request: Request, stopping: threading.Event) -> None:
        self._controls.show("starting")
        recording = self._record(request)
        kept = "unsaved" if self._upkeep.unsaved else begin(self._store, recording.document())
        if kept == "unsaved":
            self._idle.refused()
            return
        log.info("session %s started", recording.session_id)
        systemd.status("measuring")
        if kept == "stored":
            note(self._store, {"state": "measuring", "session_id": recording.session_id})
        else:
            self._upkeep.spooled()
        checkpoint_s = self._limits.checkpoint_s
        saving = Checkpoints(recording, self._worker, self._clock, checkpoint_s, self._reminds)
        try:
            self._camera.start()
        except CameraError:
            self._end(recording, "camera_fault")
            raise
        systemd.watchdog()  # the camera's first start can take half of the watchdog's timeout
        # A hung libcamera may never return from `stop`: the session is saved before.
        with on_exit(self._camera.stop):
            self._run(recording, saving, stopping)
        saving.finish()

    def _run(self, recording: Recording, saving: Checkpoints, stopping: threading.Event) -> None:
        """Measure until the session ends, and save it."""
        try:
            ended_by = self._measure(recording, saving, stopping)
        except CameraError:
            self._end(recording, "camera_fault")
            raise
        self._end(recording, ended_by, "ended" if ended_by != "power_loss" else "interrupted")

    def _measure(
        self, recording: Recording, saving: Checkpoints, stopping: threading.Event
    ) -> EndedBy:
        """Measure until something ends the session. Return what ended it."""
        camera = self._camera
        while not stopping.is_set():
            frame = camera.read(self._limits.frame_s)
            if frame is None:
                return "command"
            recording.frames_dropped = camera.frames_dropped
            recording.add(frame)
            self._controls.show(_shown(recording) if saving.saved else "fault")
            if self._controls.action(0) == "stop":
                return "button"
            if recording.age_s >= self._limits.session_s:
                return "time_limit"
            if saving.after_frame():
                return "command"
        return "power_loss"

    def _end(self, recording: Recording, ended_by: EndedBy, state: State = "ended") -> None:
        self._controls.show("finishing")
        self._upkeep.finished(recording.finish(ended_by, state=state))
        systemd.watchdog()  # a slow card may have taken most of the watchdog's timeout
        log.info("session %s %s by %s", recording.session_id, state, ended_by)
        systemd.status("ready")


def _shown(recording: Recording) -> LightState:
    if recording.unseen_s > UNSEEN_S or not recording.aimed_well:
        return "unseen"
    return "blink" if recording.asks_for_blinks else "measuring"


def try_camera(camera: Camera, timeout_s: float) -> None:
    """Read one frame, so that `ready` implies a working camera. Raises CameraError."""
    camera.start()
    with on_exit(camera.stop):
        camera.read(timeout_s)


@contextlib.contextmanager
def on_exit(end: Callable[[], None]) -> Iterator[None]:
    """Call `end` on leaving the block.

    If both raise, log the error of `end` and raise that of the block: a camera that hangs can't be
    stopped either.
    """
    try:
        yield
    except BaseException:
        try:
            end()
        except CameraError as error:
            log.warning("%s", error)
        raise
    end()


@contextlib.contextmanager
def showing_faults(
    controls: Controls, stopping: threading.Event, report: Callable[[str], None] = lambda _: None
) -> Iterator[None]:
    """If the block fails, show the fault for a while, then exit. `report` is called with the error.

    systemd then restarts the process, which shows the fault again until it is gone. So the light
    shows a fault from the first attempt on, even if `watch` can't start.
    """
    try:
        yield
    except Exception as error:
        if isinstance(error, AgentError) and not isinstance(error, DEVICE_FAULTS):
            raise  # wrong usage, not a fault of the device
        unexpected = not isinstance(error, AgentError)
        log.error("%s (exits in %g s)", error, FAULT_S, exc_info=unexpected)
        systemd.status(f"fault: {error}")
        controls.show("fault")
        report(str(error))
        systemd.watchdog()
        stopping.wait(FAULT_S)
        raise SystemExit(1) from error  # already logged
