"""`watch` without camera and model, a hundred times as fast: the real loop, the real measuring of
eyes, the real store.

    main([STORE, JOURNAL, SESSIONS, PACE_MS])

It makes SESSIONS sessions and ends. Every document that the store has taken is then written down in
the journal too, one line each: what the store must still have, whatever becomes of it and of us.
"""

import contextlib
import json
import math
import os
import random
import signal
import threading
import time
import zlib
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np

from agent.clock import Clock
from agent.controls.panel import Action, LightState
from agent.ear import LEFT_EYE, RIGHT_EYE
from agent.measure.recording import Recording
from agent.records import Document, FaceLandmarks, Frame
from agent.store.store import Store
from agent.system.worker import Worker
from agent.watch.loop import Limits, Watch
from agent.watch.request import Request
from bench.mesh_face import mesh_face

FPS = 15.0
SESSION_S = (4.0, 40.0)  # of the sessions' own time
CHECKPOINT_S = 5.0
PIXELS = np.zeros((4, 4, 3), np.uint8)


class JournaledStore(Store):
    """The store, and a witness beside it."""

    def __init__(self, path: Path, journal: Path) -> None:
        super().__init__(path)
        self._journal = os.open(journal, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def put(self, document: Document) -> bool:
        """As the store does. One write: no kill leaves half a line."""
        kept = super().put(document)
        if kept:
            line = [document["session_id"], document["revision"], checksum(document)]
            os.write(self._journal, (json.dumps(line) + "\n").encode())
        return kept


def checksum(document: Document) -> int:
    """The same for the same document."""
    return zlib.crc32(json.dumps(document, sort_keys=True).encode())


class QuickCamera:
    """Frames as fast as `pace_s` lets them, each 1/15 s after the last."""

    source = "replay"
    height, width = PIXELS.shape[:2]
    frames_dropped = 0

    def __init__(self, pace_s: float) -> None:
        self._pace_s = pace_s
        self.shown_s = 0.0

    def check(self) -> None:
        """Is never unplugged."""

    def start(self) -> None:
        """Nothing to do."""

    def read(self, timeout_s: float) -> Frame | None:
        """The next frame."""
        if self._pace_s:
            time.sleep(self._pace_s)
        self.shown_s += 1 / FPS
        return Frame(self.shown_s, PIXELS)

    def stop(self) -> None:
        """Nothing to do."""

    def close(self) -> None:
        """Nothing to do."""


class QuickClock(Clock):
    """Both clocks, ahead of the machine's by what the camera has shown."""

    _camera: QuickCamera

    def __init__(self, camera: QuickCamera) -> None:
        object.__setattr__(self, "_camera", camera)  # a clock is frozen

    def now(self) -> datetime:
        """The time at which the camera is."""
        return super().now() + timedelta(seconds=self._camera.shown_s)

    def monotonic_s(self) -> float:
        """The same, from some moment on."""
        return super().monotonic_s() + self._camera.shown_s

    def synchronized(self) -> bool:
        """As if."""
        return True


class Face:
    """A face that blinks now and then."""

    def __init__(self) -> None:
        self._blink_s = 0.0

    def find(self, frame: Frame, irises_below: float = math.inf) -> FaceLandmarks | None:
        if frame.time_s > self._blink_s + 0.3:
            self._blink_s = frame.time_s + random.uniform(0.5, 4)
        shut = max(0.0, 1 - abs(frame.time_s - self._blink_s) / 0.15)
        points = np.zeros((468, 3), np.float32)
        for eye, left in ((RIGHT_EYE, 100.0), (LEFT_EYE, 200.0)):
            half = 50 * (0.31 + random.gauss(0, 0.004) - 0.2 * shut) / 2
            x = [left, left + 15, left + 35, left + 50, left + 35, left + 15]
            points[list(eye), 0] = x
            points[list(eye), 1] = [0, -half, -half, 0, half, half]
        return mesh_face(frame.time_s, points, 0.99)

    def reset(self) -> None:
        """Nothing to forget."""


class Presses:
    """Presses the button for as long as there are sessions to make."""

    has_light = False

    def __init__(self, sessions: int, stopping: threading.Event) -> None:
        self._left = sessions
        self._stopping = stopping

    def action(self, timeout_s: float) -> Action | None:
        if timeout_s == 0:  # asked in a session
            return None
        if self._left == 0:
            self._stopping.set()
            return None
        self._left -= 1
        return "start"

    def show(self, state: LightState) -> None:
        """Nobody sees it."""

    def close(self) -> None:
        """Nothing to let go of."""


def main(arguments: list[str]) -> int:
    """Makes sessions until it has made enough, or is told to stop."""
    path, journal, sessions, pace_ms = arguments
    stopping = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stopping.set())
    camera = QuickCamera(float(pace_ms) / 1000)
    clock = QuickClock(camera)
    store = JournaledStore(Path(path), Path(journal))
    worker = Worker(lambda: contextlib.closing(JournaledStore(Path(path), Path(journal))))
    watch = Watch(
        camera,
        lambda request: _recording(clock, request.session_id),
        store,
        worker,
        Presses(int(sessions), stopping),
        clock,
        Limits(
            session_s=random.uniform(*SESSION_S),
            checkpoint_s=CHECKPOINT_S,
            frame_s=3.0,
            keep_sessions=1_000_000,
        ),
        lambda _: Request(),
        lambda *_: None,
    )
    watch.run(stopping)
    worker.close()
    store.close()
    return 0


def _recording(clock: QuickClock, session_id: str | None) -> Recording:
    camera = {"source": "replay", "width": 4, "height": 4}
    return Recording(
        Face(), clock, camera=camera, agent={"version": "0", "model": "none"}, session_id=session_id
    )
