"""A running session: takes frames and returns the document of the next revision on request."""

import math
import secrets
import uuid
from collections.abc import Callable
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Protocol

from agent.clock import Clock
from agent.ear import eye_sample
from agent.errors import CameraError
from agent.measure.aim import Aimed
from agent.measure.document import EndedBy, State, session_document
from agent.measure.metrics import Session
from agent.measure.reminding import Reminding
from agent.measure.session import LONGEST_S, SessionBuilder
from agent.records import Activity, Blink, Document, EyeSample, FaceLandmarks, Frame

BACK_S = 1.0  # a frame up to this late is ignored
AHEAD_S = 3600.0  # longest gap, from a stall or a paused video; a camera times out much earlier


class Tracker(Protocol):
    """Finds the face that the session follows."""

    def find(self, frame: Frame, irises_below: float = math.inf) -> FaceLandmarks | None:
        """Return the face's landmarks, or None; irises only if an eye's EAR is below the limit."""

    def reset(self) -> None:
        """Forget the face."""


class Recording:
    """Measures frames and writes the session's documents.

    `camera` is the document's `camera` without its fps; `agent` is its `agent`. Session time begins
    with the first frame. `session_id` is given if a command asked for the session. `activity` is
    what the person does, if that is known. `down` is as in `SessionBuilder`.
    """

    def __init__(
        self,
        tracker: Tracker,
        clock: Clock,
        *,
        camera: Document,
        agent: Document,
        session_id: str | None = None,
        activity: Activity | None = None,
        down: Callable[[float, float], None] | None = None,
    ) -> None:
        self._down = down
        self._tracker = tracker
        self._clock = clock
        self._camera = camera
        self._agent = agent
        self._activity = activity
        self._started_at = clock.now()
        self._started_s = clock.monotonic_s()
        self._boot = self._clock_facts()
        self._builder: SessionBuilder | None = None
        self._first_s = self._last_s = 0.0
        self._seen_s = 0.0
        self._aimed = Aimed()
        self._reminding = Reminding()
        self.session_id = session_id or str(uuid7(self._started_at))
        self.revision = 0
        self.frames = 0
        self.frames_dropped = 0
        tracker.reset()

    @property
    def age_s(self) -> float:
        """Seconds since the session began, on the monotonic clock."""
        return self._clock.monotonic_s() - self._started_s

    @property
    def unseen_s(self) -> float:
        """Seconds of frames since eyes were last seen, or since the first frame."""
        return self._last_s - self._seen_s

    @property
    def aimed_well(self) -> bool:
        """Whether the eyes were seen well in the last seconds. True before that is known."""
        return self._aimed.verdict.advice == "good"

    @property
    def asks_for_blinks(self) -> bool:
        """Whether the light is to ask for blinks now."""
        return self._reminding.asking

    def remind_below(self, bound_per_min: float | None) -> None:
        """Ask for blinks below this rate from now on, in blinks a minute; None for never."""
        self._reminding.remind_below(bound_per_min)

    @property
    def events(self) -> list[Blink]:
        """The blinks and long closures so far, as `SessionBuilder.events`."""
        return [] if self._builder is None else self._builder.events

    def believe_clock(self) -> None:
        """Correct the session's start date, now that the wall clock is right."""
        if not self._boot["synchronized"]:
            self._started_at = self._clock.now() - timedelta(seconds=self.age_s)
            zone = self._clock.zone_facts(self._started_at)
            self._boot = {**self._boot, "synchronized": True, **zone}

    def add(self, frame: Frame) -> tuple[EyeSample, list[Blink]]:
        """Measure one frame; return its sample and the blinks that are certain by now.

        Raises CameraError for a frame with an impossible time: hours without samples would follow,
        or all later frames would be ignored as too early.
        """
        if self._builder is not None:
            self._check_time(frame.time_s)
        self.frames += 1
        irises_below = math.inf if self._builder is None else self._builder.irises_below
        face = self._tracker.find(frame, irises_below)
        self._aimed.add(frame, face)
        sample = eye_sample(frame.time_s, face)
        if self._builder is None or sample.ear is not None:
            self._seen_s = frame.time_s
        if self._builder is None:
            self._builder = SessionBuilder(frame.time_s, self._down)
            self._first_s = frame.time_s
        self._last_s = frame.time_s
        blinks = self._builder.add(sample)
        self._remind(self._builder)
        return sample, blinks

    def _remind(self, builder: SessionBuilder) -> None:
        time_s = self._last_s - self._first_s
        if self._reminding.due(time_s):
            self._reminding.look(time_s, builder.tally(self._last_s, self.frames_dropped))

    def _check_time(self, time_s: float) -> None:
        jump_s = time_s - self._last_s
        if not -BACK_S <= jump_s <= AHEAD_S:
            raise CameraError(f"the time jumps by {jump_s:+.0f} s from one frame to the next")
        if time_s - self._first_s >= LONGEST_S:
            raise CameraError("expected frames of a day at most, found more")

    def document(self) -> Document:
        """Return the document of the next revision, with the session active."""
        builder = self._builder or SessionBuilder(0.0)
        document = self._document(builder.snapshot(self._last_s, self.frames_dropped), "active")
        verdict = self._aimed.verdict
        return document if verdict.advice == "good" else document | {"aim": asdict(verdict)}

    def finish(self, ended_by: EndedBy, *, state: State = "ended") -> Document:
        """Return the final document."""
        builder = self._builder or SessionBuilder(0.0)
        return self._document(builder.finish(self._last_s, self.frames_dropped), state, ended_by)

    def _document(
        self, session: Session, state: State, ended_by: EndedBy | None = None
    ) -> Document:
        self.revision += 1
        return session_document(
            session,
            session_id=self.session_id,
            revision=self.revision,
            state=state,
            started_at=self._started_at,
            ended_at=None if ended_by is None else self._started_at + timedelta(seconds=self.age_s),
            ended_by=ended_by,
            clock=self._boot,
            camera=self._camera,
            agent=self._agent,
            reminders=self._reminding.reminders,
            activity=self._activity,
        )

    def _clock_facts(self) -> Document:
        return {
            "synchronized": self._clock.synchronized(),
            **self._clock.zone_facts(self._started_at),
            "boot_id": self._clock.boot_id(),
            "monotonic_start_s": round(self._started_s, 3),
        }


def uuid7(moment: datetime) -> uuid.UUID:
    """Make a UUID of version 7 (RFC 9562, section 5.7): 48 bits of milliseconds, then random."""
    milliseconds = max(0, int(moment.timestamp() * 1000)) & (1 << 48) - 1
    chance = secrets.randbits(74)
    high = milliseconds << 16 | 7 << 12 | chance >> 62
    return uuid.UUID(int=high << 64 | 0b10 << 62 | chance & (1 << 62) - 1)
