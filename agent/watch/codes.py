"""Look for codes with the camera, and hand them over to the service that joins and enrols.

`watch` has no network. It reads the text of a code and hands it to the root service that has one
(`agent.system.handover`), waits for the answer, and shows each step by the light. No frame is kept,
and nothing is measured meanwhile.
"""

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Protocol

from agent.clock import Clock
from agent.controls.light import LightState
from agent.controls.panel import Controls
from agent.records import Camera, Frame
from agent.system import systemd
from agent.system.handover import Answer

log = logging.getLogger(__name__)

State = Literal[
    "looking", "kept", "joining", "joining, kept", "joined", "enrolling", "enrolled", "over"
]
Event = Literal["wifi", "server", "joined", "enrolled", "offline", "failed", "press", "time up"]
Step = Literal["join", "enrol"]

TRANSITIONS: dict[State, dict[Event, tuple[State, Step | None]]] = {
    "looking": {
        "wifi": ("joining", "join"),
        "server": ("enrolling", "enrol"),
        "press": ("over", None),
        "time up": ("over", None),
    },
    "kept": {  # the server's code was read, and there is no network yet
        "wifi": ("joining, kept", "join"),
        "server": ("enrolling", "enrol"),
        "press": ("over", None),
        "time up": ("over", None),
    },
    "joining": {
        "server": ("joining, kept", None),
        "joined": ("joined", None),
        "failed": ("looking", None),
    },
    "joining, kept": {
        "joined": ("enrolling", "enrol"),
        "failed": ("kept", None),
    },
    "joined": {
        "wifi": ("joining", "join"),
        "server": ("enrolling", "enrol"),
        "press": ("over", None),
        "time up": ("over", None),
    },
    "enrolling": {
        "enrolled": ("enrolled", None),
        "offline": ("kept", None),
        "failed": ("looking", None),
    },
    "enrolled": {
        "press": ("over", None),
        "time up": ("over", None),
    },
    "over": {},
}
"""The next state after each event, and the step to hand over; any other event changes nothing.

`wifi` and `server`: a code of this kind was read. `joined`, `enrolled`, `offline` and `failed`: the
answer. `press`: the button. `time up`: the state has lasted for its time.
"""

LIGHTS: dict[State, LightState] = {
    "looking": "looking",
    "kept": "read",
    "joining": "read",
    "joining, kept": "read",
    "joined": "joined",
    "enrolling": "read",
    "enrolled": "enrolled",
}
FAILED: dict[State, LightState] = {
    "joining": "join failed",
    "joining, kept": "join failed",
    "enrolling": "enrol failed",
}

LOOK_S = 600.0  # how long to look for codes
JOINED_S = 60.0  # how long to look for the server's code where the device has an owner
SHOWN_S = 9.0  # how long to show an outcome: three times the longest pattern
ANSWER_S = 300.0  # longer than the root service works on one code
AWAY_S = 5.0  # a code that was out of view for so long counts as shown again
PRESSES = ("start", "start activity", "stop")  # each ends it
PAUSE_S = 0.2  # between two frames
CHECK_S = 1.0  # how often to look whether a terminal has overtaken it

Kind = Literal["wifi", "server", "other"]


@dataclass(frozen=True, slots=True)
class Seen:
    """What a text is: the kind of code, and why it can't be used, if so."""

    kind: Kind
    problem: str | None = None


class Handover(Protocol):
    """The connection to the root service, as needed here: see `agent.system.handover.Requests`."""

    def send(self, text: str) -> str:
        """Hand over the text of a code. Return the id under which it is answered."""

    def withdraw(self) -> None:
        """Remove a request that nobody has taken."""

    def answer(self, request_id: str) -> Answer | None:
        """Return the newest answer to this request, or None if there is none yet."""


@dataclass(slots=True)
class Codes:
    """What is needed to look for codes. `has_owner` returns whether the device is enrolled."""

    read: Callable[[Frame], str | None]
    understand: Callable[[str], Seen]
    handover: Handover
    has_owner: Callable[[], bool]


class Look:
    """Looks for codes once, from the press until a state ends it. The camera must be running."""

    def __init__(self, codes: Codes, camera: Camera, controls: Controls, clock: Clock) -> None:
        self._codes = codes
        self._camera = camera
        self._controls = controls
        self._clock = clock
        self._had_owner = codes.has_owner()
        self._state: State = "looking"
        self._since_s = self._began_s = clock.monotonic_s()
        self._server_text: str | None = None
        self._request_id: str | None = None
        self._sent_s = 0.0
        self._check_s = 0.0
        self._in_view: dict[str, float] = {}  # texts that were acted on, and when seen last
        self._flash: LightState | None = None
        self._flash_until_s = 0.0

    def run(
        self, stopping: threading.Event, frame_s: float, wanted: Callable[[], bool] = lambda: False
    ) -> None:
        """Look until a state ends it, the video ends, or `stopping` is set.

        On a device without an owner, two more things count as a press: that it was enrolled in a
        terminal, and that `wanted` says that a session is to start. Its only commands come from a
        terminal. Raises CameraError if there is no frame for `frame_s` seconds.
        """
        try:
            while not stopping.is_set() and self._state != "over":
                systemd.watchdog()
                self._controls.show(self._light())
                if self._controls.action(PAUSE_S) in PRESSES or self._overtaken(wanted):
                    self._step("press")
                frame = self._camera.read(frame_s)
                if frame is None:
                    return
                self._look(frame)
                self._hear()
                if self._clock.monotonic_s() - self._since_s >= self._limit_s():
                    self._step("time up")
        finally:
            self._codes.handover.withdraw()

    def _overtaken(self, wanted: Callable[[], bool]) -> bool:
        now_s = self._clock.monotonic_s()
        if self._had_owner or self._state == "enrolled" or now_s < self._check_s:
            return False
        self._check_s = now_s + CHECK_S
        return self._codes.has_owner() or wanted()

    def _light(self) -> LightState:
        if self._flash is not None and self._clock.monotonic_s() < self._flash_until_s:
            return self._flash
        return LIGHTS[self._state]

    def _limit_s(self) -> float:
        """Return how long this state may last, in seconds."""
        if self._state == "enrolled":
            return SHOWN_S
        left_s = self._began_s + LOOK_S - self._since_s
        if self._state == "joined" and self._had_owner:
            return min(JOINED_S, left_s)
        return left_s

    def _look(self, frame: Frame) -> None:
        """Act once on each code that comes into view, if this state takes one."""
        if self._state == "enrolled":
            return
        text = self._codes.read(frame)
        if text is None or self._still_in_view(text):
            return
        seen = self._codes.understand(text)
        if seen.problem is None and seen.kind not in TRANSITIONS[self._state]:
            return  # it is not remembered: a later state may take it
        self._in_view[text] = self._clock.monotonic_s()
        if seen.problem is not None:
            self._refuse(seen)
        elif seen.kind != "other":
            log.info("a code was read: %s", seen.kind)
            self._accept(seen.kind, text)

    def _still_in_view(self, text: str) -> bool:
        """Return whether the text was acted on and has been in view since then."""
        now_s = self._clock.monotonic_s()
        self._in_view = {each: s for each, s in self._in_view.items() if now_s - s <= AWAY_S}
        known = text in self._in_view
        if known:
            self._in_view[text] = now_s
        return known

    def _refuse(self, seen: Seen) -> None:
        log.warning("a code was read that can't be used: %s", seen.problem)
        if seen.kind != "other":
            self._show("join failed" if seen.kind == "wifi" else "enrol failed")

    def _accept(self, kind: Literal["wifi", "server"], text: str) -> None:
        if kind == "server":
            self._server_text = text
        self._step(kind, text)

    def _hear(self) -> None:
        """Take the answer of the root service, if it has one."""
        if self._request_id is None:
            return
        answer = self._codes.handover.answer(self._request_id)
        if answer is None or answer.outcome == "working":
            if self._clock.monotonic_s() - self._sent_s < ANSWER_S:
                return
            answer = Answer(self._request_id, "failed", "blinklog-join.service does not answer")
        self._request_id = None
        if answer.outcome in ("joined", "enrolled", "offline") and (
            answer.outcome in TRANSITIONS[self._state]
        ):
            self._step(answer.outcome)
            return
        self._fail(f"the code could not be used: {answer.problem}")

    def _fail(self, problem: str) -> None:
        log.warning("%s", problem)
        self._show(FAILED[self._state])
        self._step("failed")

    def _show(self, state: LightState) -> None:
        self._flash, self._flash_until_s = state, self._clock.monotonic_s() + SHOWN_S

    def _step(self, event: Event, text: str | None = None) -> None:
        before = self._state
        self._state, step = TRANSITIONS[before].get(event, (before, None))
        if self._state == before:
            return
        log.info("codes: %s", self._state)
        self._since_s = self._clock.monotonic_s()
        if event != "failed":  # a failure is shown for its time
            self._flash = None
        if step is not None:
            self._send(text if event != "joined" else self._server_text)

    def _send(self, text: str | None) -> None:
        self._sent_s = self._clock.monotonic_s()
        try:
            self._request_id = self._codes.handover.send(text or "")
        except OSError as error:
            self._fail(f"the code can't be handed over: {error.strerror}")
