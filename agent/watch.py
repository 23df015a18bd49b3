"""The loop of `blink-agent watch`: waits for the button, measures a session, keeps it."""

import contextlib
import itertools
import logging
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol

from agent import systemd
from agent.clock import Clock
from agent.controls import Controls
from agent.document import Document, EndedBy, State, interrupted, with_true_time
from agent.errors import AgentError, CameraError, ModelError, StoreError
from agent.idle import Idle
from agent.recording import Recording
from agent.records import Frame

log = logging.getLogger(__name__)

IDLE_S = 0.5  # how soon a command is seen; a press is seen at once
LOOK_S = 0.5  # how often a session looks for commands, and tells the watchdog of its frames
LATE_SHARE = 0.05  # of the frames dropped: one now and then is no news
UNSEEN_S = 2.0  # longer than any blink, so that the light does not flicker with the eyes
FAULT_S = 10.0  # the light shows a fault so long before the process ends: less than any WatchdogSec


DEVICE_FAULTS = (CameraError, ModelError, StoreError)


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


class Store(Protocol):
    """What the loop needs of the store."""

    def put(self, document: Document) -> bool:
        """Keeps a document if its revision is higher."""

    def unfinished(self) -> list[Document]:
        """The sessions still marked active."""

    def take_command(self, now: datetime) -> Document | None:
        """The next command that is neither expired nor taken."""

    def newest(self) -> Iterable[Kept]:
        """All sessions, newest first, a few in memory at a time."""

    def note(self, key: str, value: Any) -> None:
        """Remembers a fact for `status`."""

    def noted(self, key: str) -> Any:
        """What was noted last."""

    def problem(self) -> str | None:
        """Why no session could begin now, or None."""

    def oldest_pending(self) -> int | None:
        """Which finished session has waited longest for its delivery."""

    def prune(self, keep: int) -> int:
        """Forgets the oldest delivered sessions beyond `keep`."""


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
        controls: Controls,
        clock: Clock,
        limits: Limits,
    ) -> None:
        self._camera = camera
        self._record = record
        self._store = store
        self._controls = controls
        self._clock = clock
        self._limits = limits
        self._idle = Idle(store, clock)
        self._believed = False  # whether the wall clock has been

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
        if not self._keep(recording.document()):
            self._idle.refused()
            return
        log.info("session %s started", recording.session_id)
        systemd.status("measuring")
        self._note({"state": "measuring", "session_id": recording.session_id})
        try:
            ended_by = self._measure(recording, stopping)
            self._end(recording, ended_by, "ended" if ended_by != "power_loss" else "interrupted")
        except CameraError:
            self._end(recording, "camera_fault")
            raise

    def _measure(self, recording: Recording, stopping: threading.Event) -> EndedBy:
        """Measures until something ends the session; returns what did."""
        limits, camera = self._limits, self._camera
        looked_s = kept_s = recording.age_s
        late, kept = False, True
        camera.start()
        systemd.watchdog()  # a cold camera may have taken half of its time
        try:
            while not stopping.is_set():
                frame = camera.read(limits.frame_s)
                if frame is None:
                    return "command"
                recording.frames_dropped = camera.frames_dropped
                recording.add(frame)
                seen = recording.unseen_s <= UNSEEN_S
                self._controls.show("fault" if not kept else "measuring" if seen else "unseen")
                if self._controls.action(0) == "stop":
                    return "button"
                age_s = recording.age_s
                if age_s - looked_s >= LOOK_S:
                    looked_s = age_s
                    systemd.watchdog()
                    if ended_by := self._ended_by(age_s, recording):
                        return ended_by
                if age_s - kept_s >= limits.checkpoint_s:
                    kept_s = age_s
                    kept = self._keep(recording.document())
                    late = late or self._says_late(recording)
            return "power_loss"
        finally:
            camera.stop()

    def _says_late(self, recording: Recording) -> bool:
        """Whether this device can't keep up with its camera, and says so."""
        dropped, given = recording.frames_dropped, recording.frames + recording.frames_dropped
        if dropped <= LATE_SHARE * given:
            return False
        log.warning("can't keep up: %d of %d frames were dropped so far", dropped, given)
        self._note({"state": "measuring", "session_id": recording.session_id, "keeps_up": False})
        return True

    def _ended_by(self, age_s: float, recording: Recording) -> EndedBy | None:
        if age_s >= self._limits.session_s:
            return "time_limit"
        try:
            self._believe_clock(recording)
            command = self._store.take_command(self._clock.now())
        except StoreError as error:  # no reason to end what is measured
            log.debug("no look for commands: %s", error)  # the next checkpoint will say so
            return None
        if command is None or command["command"] != "stop":
            return None
        # A stop that comes late must not end the session after the one it was meant for.
        ours = command.get("session_id") in (None, recording.session_id)
        return "command" if ours else None

    def _end(self, recording: Recording, ended_by: EndedBy, state: State = "ended") -> None:
        self._controls.show("finishing")
        document = recording.finish(ended_by, state=state)
        if not self._keep(document):
            raise StoreError("the finished session could not be written to the store")
        log.info("session %s %s by %s", recording.session_id, state, ended_by)
        self._store.prune(self._limits.keep_sessions)
        self._note({"state": "ready"})
        systemd.status("ready")

    def _note(self, state: Document) -> None:
        """For `status`, which is not worth a session."""
        try:
            self._store.note("watch", state)
        except StoreError as error:
            log.warning("status can't be told: %s", error)

    def _keep(self, document: Document) -> bool:
        """Writes a document; where the disk is full, delivered sessions make room for it."""
        try:
            self._store.put(document)
        except StoreError as error:
            log.error("the store refused a session: %s", error)
        else:
            return True
        try:
            if self._store.problem() is not None:  # another error is no reason to forget any
                self._store.prune(0)
            self._store.put(document)
        except OSError:
            return False
        return True

    def _believe_clock(self, recording: Recording | None = None) -> None:
        """Once the wall clock is right, sessions of this boot that began before get their date."""
        if self._believed or not self._clock.synchronized():
            return
        if recording is not None:
            recording.believe_clock()
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
            if not self._keep(interrupted(document)):
                raise StoreError("an interrupted session could not be closed in the store")
            log.warning("session %s was interrupted", document["session_id"])


def try_camera(camera: Camera, timeout_s: float) -> None:
    """One frame, so that `ready` is true where the camera is. Raises CameraError."""
    camera.start()
    try:
        camera.read(timeout_s)
    finally:
        camera.stop()


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
