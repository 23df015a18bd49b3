"""The loop of `blink-agent watch`: waits for the button, measures a session, keeps it."""

import contextlib
import itertools
import logging
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Protocol

from agent.clock import Clock
from agent.controls.light import LightState
from agent.controls.panel import Controls
from agent.errors import AgentError, CameraError, ControlsError, ModelError, StoreError
from agent.measure.document import Document, EndedBy, State, interrupted, with_true_time
from agent.measure.recording import Recording
from agent.records import Frame
from agent.system import systemd
from agent.watch import checkpoints
from agent.watch.checkpoints import Checkpoints, Worker, keep, note
from agent.watch.idle import Idle

log = logging.getLogger(__name__)

IDLE_S = 0.5  # how soon a command is seen; a press is seen at once
UNSEEN_S = 2.0  # longer than any blink, so that the light does not flicker with the eyes
FAULT_S = 10.0  # the light shows a fault so long before the process ends: less than any WatchdogSec

DEVICE_FAULTS = (CameraError, ModelError, StoreError, ControlsError)


class Camera(Protocol):
    """What the loop needs of a camera."""

    frames_dropped: int

    def check(self) -> None:
        """Raises CameraError where it has been unplugged."""

    def start(self) -> None:
        """Begins to give frames."""

    def read(self, timeout_s: float) -> Frame | None:
        """The newest frame, or None at the end of a recording."""

    def stop(self) -> None:
        """Ends what `start` began."""


class Kept(Protocol):
    """A session in the store."""

    @property
    def document(self) -> Document:
        """Its newest document."""


class Store(checkpoints.Store, Protocol):
    """What the loop needs of the store."""

    def unfinished(self) -> list[Document]:
        """The sessions still marked active."""

    def newest(self) -> Iterable[Kept]:
        """All sessions, newest first, a few in memory at a time."""

    def noted(self, key: str) -> Any:
        """What was noted last."""

    def oldest_pending(self) -> int | None:
        """Which finished session has waited longest for its delivery."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds in seconds, and how many delivered sessions stay."""

    session_s: float
    checkpoint_s: float
    frame_s: float
    keep_sessions: int


class Watch:
    """Owns the camera, the controls and the writing of sessions.

    The failure policy: a camera that stops giving frames ends its session as `camera_fault` and
    then the process, so that systemd starts both anew; one that is unplugged between two sessions
    ends the process, too. A store that can't be written refuses new sessions and shows a fault; one
    that fails during a session shows it too, and is tried again at the next checkpoint. What ends
    the process is on the light before: see `fault_shown`.
    """

    def __init__(
        self,
        camera: Camera,
        record: Callable[[str | None], Recording],
        store: Store,
        worker: Worker,
        controls: Controls,
        clock: Clock,
        limits: Limits,
    ) -> None:
        self._camera = camera
        self._record = record
        self._store = store
        self._worker = worker
        self._controls = controls
        self._clock = clock
        self._limits = limits
        self._idle = Idle(store, clock)
        self._believed = False  # whether the wall clock is, and all sessions have their date

    def run(self, stopping: threading.Event) -> None:
        """Measures session after session until `stopping` is set."""
        self._close_interrupted()
        self._store.note("watch", {"state": "ready"})
        systemd.ready()
        systemd.status("ready")
        while not stopping.is_set():
            systemd.watchdog()
            self._camera.check()
            self._controls.show(self._idle.light())
            self._believe_clock()
            wanted, session_id = self._wanted(IDLE_S)
            if wanted == "start":
                self._session(session_id, stopping)
        systemd.stopping()
        self._controls.show("off")  # nothing is ready from here on
        self._store.note("watch", {"state": "stopped"})

    def _wanted(self, timeout_s: float) -> tuple[str | None, str | None]:
        """What button or command ask for, and the session's id where a command gave one."""
        action = self._controls.action(timeout_s)
        if action is not None:
            return action, None
        command = self._store.take_command(self._clock.now())
        return (command["command"], command.get("session_id")) if command else (None, None)

    def _session(self, session_id: str | None, stopping: threading.Event) -> None:
        self._controls.show("starting")
        recording = self._record(session_id)
        if not keep(self._store, recording.document()):
            self._idle.refused()
            return
        log.info("session %s started", recording.session_id)
        systemd.status("measuring")
        note(self._store, {"state": "measuring", "session_id": recording.session_id})
        writing = Checkpoints(recording, self._worker, self._clock, self._limits.checkpoint_s)
        try:
            ended_by = self._measure(recording, writing, stopping)
            self._end(recording, ended_by, "ended" if ended_by != "power_loss" else "interrupted")
        except CameraError:
            self._end(recording, "camera_fault")
            raise
        writing.settle()

    def _measure(
        self, recording: Recording, writing: Checkpoints, stopping: threading.Event
    ) -> EndedBy:
        """Measures until something ends the session; returns what did."""
        camera = self._camera
        camera.start()
        systemd.watchdog()  # a cold camera may have taken half of its time
        with afterwards(camera.stop):
            while not stopping.is_set():
                frame = camera.read(self._limits.frame_s)
                if frame is None:
                    return "command"
                recording.frames_dropped = camera.frames_dropped
                recording.add(frame)
                seen: LightState = "measuring" if recording.unseen_s <= UNSEEN_S else "unseen"
                self._controls.show(seen if writing.kept else "fault")
                if self._controls.action(0) == "stop":
                    return "button"
                if recording.age_s >= self._limits.session_s:
                    return "time_limit"
                if writing.after_frame():
                    return "command"
            return "power_loss"

    def _end(self, recording: Recording, ended_by: EndedBy, state: State = "ended") -> None:
        self._controls.show("finishing")
        document = recording.finish(ended_by, state=state)
        if not keep(self._store, document):
            raise StoreError("the finished session could not be written to the store")
        systemd.watchdog()  # a slow card may have taken most of its time
        log.info("session %s %s by %s", recording.session_id, state, ended_by)
        self._store.prune(self._limits.keep_sessions)
        note(self._store, {"state": "ready"})
        systemd.status("ready")

    def _believe_clock(self) -> None:
        """Whenever the wall clock comes to be right, earlier sessions of this boot get their date.

        Under chrony and ntpd that may be more than once: hours after the network went, their clock
        is no longer called right.
        """
        if not self._clock.synchronized():
            self._believed = False
            return
        if self._believed:
            return
        booted_at = self._clock.now() - timedelta(seconds=self._clock.monotonic_s())
        boot_id = self._clock.boot_id()
        newest = (kept.document for kept in self._store.newest())
        for document in itertools.takewhile(lambda it: it["clock"]["boot_id"] == boot_id, newest):
            clock = document["clock"]
            if not clock["synchronized"] and document["state"] != "active":
                began_at = booted_at + timedelta(seconds=clock["monotonic_start_s"])
                self._store.put(with_true_time(document, began_at))
        self._believed = True  # by now: a store that failed is asked again

    def _close_interrupted(self) -> None:
        """A session still active at the start was cut off: it ends with what was checkpointed."""
        for document in self._store.unfinished():
            if not keep(self._store, interrupted(document)):
                raise StoreError("an interrupted session could not be closed in the store")
            log.warning("session %s was interrupted", document["session_id"])


def try_camera(camera: Camera, timeout_s: float) -> None:
    """One frame, so that `ready` is true where the camera is. Raises CameraError."""
    camera.start()
    with afterwards(camera.stop):
        camera.read(timeout_s)


@contextlib.contextmanager
def afterwards(end: Callable[[], None]) -> Iterator[None]:
    """Has `end` done when the block is. Where both fail, what failed first is what is told: a
    camera that hangs does not stop either."""
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
def fault_shown(
    controls: Controls, stopping: threading.Event, tell: Callable[[str], None] = lambda _: None
) -> Iterator[None]:
    """Shows for a while what is about to end the process, in the block, as a fault; `tell` is told.

    Then systemd starts it anew, and it shows the fault again until there is none: from the first
    try on the person sees it, where `watch` itself can't even begin.
    """
    try:
        yield
    except Exception as error:
        if isinstance(error, AgentError) and not isinstance(error, DEVICE_FAULTS):
            raise  # a command that was given wrongly
        unforeseen = not isinstance(error, AgentError)
        log.error("%s (ends in %g s)", error, FAULT_S, exc_info=unforeseen)
        systemd.status(f"fault: {error}")
        controls.show("fault")
        tell(str(error))
        systemd.watchdog()
        stopping.wait(FAULT_S)
        raise SystemExit(1) from error  # it has been said
