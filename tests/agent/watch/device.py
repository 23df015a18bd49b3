"""A device with a real store, and a camera, controls and time that a test moves."""

import contextlib
import math
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from numpy.typing import NDArray

from agent.controls.panel import Action, LightState
from agent.errors import CameraError
from agent.measure.document import iso_utc
from agent.measure.recording import Recording, Tracker
from agent.records import FaceLandmarks, Frame
from agent.store.store import Store
from agent.system.view_file import ViewFile
from agent.system.worker import Worker
from agent.watch.aiming import Aiming
from agent.watch.checking import Checking, Down
from agent.watch.loop import Limits, Watch
from agent.watch.request import Activities, Request

T = TypeVar("T")
FPS = 30.0
BEGIN = datetime(2026, 11, 22, 10, 0, tzinfo=UTC)
PIXELS = np.zeros((48, 64, 3), np.uint8)


@dataclass
class SteppedClock:
    """A clock that moves when a frame is read."""

    passed_s: float = 0.0
    wrong: timedelta = timedelta(0)  # and known to be
    jumped: timedelta = timedelta(0)

    def now(self) -> datetime:
        return BEGIN + self.wrong + self.jumped + timedelta(seconds=self.passed_s)

    def monotonic_s(self) -> float:
        return 1000 + self.passed_s

    def synchronized(self) -> bool:
        return not self.wrong

    def boot_id(self) -> str:
        return "5f1d7e3a-2b4c-4d6e-8f90-a1b2c3d4e5f6"

    def zone_facts(self, moment: datetime) -> dict[str, int | str | None]:
        offset = moment.astimezone(ZoneInfo("Europe/Berlin")).utcoffset() or timedelta(0)
        return {"utc_offset_minutes": offset // timedelta(minutes=1), "timezone": "Europe/Berlin"}


@dataclass
class SteppedCamera:
    """Returns one frame per call. `events` are called before the frame with their number."""

    clock: SteppedClock
    events: dict[int, Callable[[], None]] = field(default_factory=dict)
    ends_after: int | None = None
    frames_dropped: int = 0
    given: int = 0
    running: bool = False
    unplugged: bool = False
    source: str = "replay"
    width: int = 64
    height: int = 48
    pixels: NDArray[np.uint8] = field(default_factory=lambda: PIXELS)

    def check(self) -> None:
        if self.unplugged:
            raise CameraError("unplugged")

    def start(self) -> None:
        self.running = True

    def read(self, timeout_s: float) -> Frame | None:
        self.events.get(self.given, lambda: None)()
        if self.given == self.ends_after:
            return None
        self.given += 1
        self.clock.passed_s += 1 / FPS
        return Frame(self.given / FPS, self.pixels)

    def stop(self) -> None:
        self.running = False

    def close(self) -> None:
        pass


@dataclass
class Panel:
    """Presses that a test lines up; each is taken once."""

    presses: list[Action] = field(default_factory=list)
    shown: list[LightState] = field(default_factory=list)
    waits: int = 0
    most_waits: int = 5000
    has_light: bool = True

    def action(self, timeout_s: float) -> Action | None:
        self.waits += 1
        assert self.waits < self.most_waits, "nobody stops this device"
        time.sleep(timeout_s / 100)
        return self.presses.pop(0) if self.presses else None

    def show(self, state: LightState) -> None:
        if not self.shown or self.shown[-1] != state:
            self.shown.append(state)

    def close(self) -> None:
        pass


class NoFace:
    """A tracker that sees nobody."""

    def find(self, frame: Frame, irises_below: float = math.inf) -> FaceLandmarks | None:
        return None

    def reset(self) -> None:
        pass


class AtOnce(Worker[Store]):
    """In place of another thread: what is asked is answered before a frame goes by."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def submit(self, call: Callable[[Store], T]) -> "Future[T]":
        future: Future[T] = Future()
        future.set_result(call(self._store))
        return future


class Never(Worker[Store]):
    """Another thread that hangs."""

    def __init__(self) -> None:
        pass

    def submit(self, call: Callable[[Store], T]) -> "Future[T]":
        return Future()


@dataclass
class Device:
    """A whole device without its hardware."""

    store: Store
    worker: Worker[Store]
    folder: Path
    clock: SteppedClock = field(default_factory=SteppedClock)
    panel: Panel = field(default_factory=Panel)
    stopping: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self.camera = SteppedCamera(self.clock)
        self.revisions: list[int] = []
        self.views = ViewFile(self.folder / "aim.json")
        self.tracker: Tracker = NoFace()
        self.reminds = True
        self.activities = Activities()
        self.steps = ViewFile(self.folder / "check.json")

    def run(self, **limits: float) -> None:
        bounds: dict[str, Any] = {
            "session_s": 600.0,
            "checkpoint_s": 10.0,
            "frame_s": 3.0,
            "keep_sessions": 1000,
            **limits,
        }
        Watch(
            self.camera,
            lambda request: self.record(request.session_id, asked=request),
            self.store,
            self.worker,
            self.panel,
            self.clock,
            Limits(**bounds),
            self.aiming().run,
            self.checking().run,
            reminds=self.reminds,
        ).run(self.stopping)

    def aiming(self) -> Aiming:
        camera, panel, store = self.camera, self.panel, self.store
        return Aiming(camera, NoFace(), panel, store, self.clock, self.views, 3.0)  # type: ignore[arg-type]

    def checking(self) -> Checking:
        camera, panel, store = self.camera, self.panel, self.store
        return Checking(camera, self.record, panel, store, self.clock, self.steps, 3.0)  # type: ignore[arg-type]

    def record(
        self, session_id: str | None, down: Down | None = None, asked: Request | None = None
    ) -> Recording:
        return Recording(
            self.tracker,
            self.clock,
            camera={"source": "replay", "width": 64, "height": 48},
            agent={"version": "0", "model": "none@0"},
            session_id=session_id,
            activity=None if asked is None else self.activities.of(asked),
            down=down,
        )

    def at(self, second: float, event: Callable[[], None]) -> None:
        self.camera.events[round(second * FPS)] = event

    def power_off_at(self, second: float) -> None:
        self.at(second, self.stopping.set)

    def the_session(self) -> dict[str, Any]:
        (session,) = self.store.sessions(10)
        return session.document


@pytest.fixture
def device(tmp_path: Path) -> Iterator[Device]:
    clock = SteppedClock()
    store = Store(tmp_path / "agent.sqlite3", clock)  # type: ignore[arg-type]
    yield Device(store, AtOnce(store), tmp_path, clock)
    store.close()


@pytest.fixture
def threaded(device: Device, tmp_path: Path) -> Iterator[Device]:
    """With the thread that it has in earnest."""
    clock: Any = device.clock
    worker = Worker(lambda: contextlib.closing(Store(tmp_path / "agent.sqlite3", clock)))
    device.worker = worker
    yield device
    worker.close()


def stop_when_done(device: Device) -> None:
    """The last thing a session does is to prune the store: then the process is stopped."""
    prune = device.store.prune

    def prune_and_stop(keep: int) -> int:
        device.stopping.set()
        return prune(keep)

    device.store.prune = prune_and_stop  # type: ignore[method-assign]


def command(name: str, **keys: Any) -> dict[str, Any]:
    return {
        **keys,
        "id": f"00000000-0000-4000-8000-{abs(hash(name)) % 10**12:012d}",
        "command": name,
        "expires_at": iso_utc(BEGIN + timedelta(seconds=30)),
    }
