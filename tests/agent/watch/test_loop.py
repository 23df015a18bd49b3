"""The loop of watch, with a real store and controls that a test can press."""

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pytest

from agent.cli import measuring, watch
from agent.config import AgentConfig
from agent.controls.panel import Action, LightState
from agent.errors import CameraError, ConfigError, ControlsError, StoreError
from agent.measure.document import iso_utc
from agent.measure.recording import Recording
from agent.records import FaceLandmarks, Frame
from agent.store.store import Store
from agent.system import systemd
from agent.system.worker import Worker
from agent.watch import checkpoints, loop
from agent.watch.loop import Limits, Watch, showing_faults, try_camera
from tests.agent.documents import document

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

    def timezone(self) -> str:
        return "Europe/Berlin"

    def utc_offset_minutes(self, moment: datetime) -> int:
        return 60


@dataclass
class SteppedCamera:
    """Gives a frame a call; `events` happen before the frame of their number."""

    clock: SteppedClock
    events: dict[int, Callable[[], None]] = field(default_factory=dict)
    ends_after: int | None = None
    frames_dropped: int = 0
    given: int = 0
    running: bool = False
    unplugged: bool = False

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
        return Frame(self.given / FPS, PIXELS)

    def stop(self) -> None:
        self.running = False


@dataclass
class Panel:
    """Presses that a test lines up; each is taken once."""

    presses: list[Action] = field(default_factory=list)
    shown: list[LightState] = field(default_factory=list)
    waits: int = 0

    def action(self, timeout_s: float) -> Action | None:
        self.waits += 1
        assert self.waits < 5000, "nobody stops this device"
        time.sleep(timeout_s / 100)
        return self.presses.pop(0) if self.presses else None

    def show(self, state: LightState) -> None:
        if not self.shown or self.shown[-1] != state:
            self.shown.append(state)

    def close(self) -> None:
        pass


class NoFace:
    """A tracker that sees nobody."""

    def find(self, frame: Frame) -> FaceLandmarks | None:
        return None

    def reset(self) -> None:
        pass


class AtOnce:
    """In place of another thread: what is asked is answered before a frame goes by."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def submit(self, call: Callable[[Store], T]) -> "Future[T]":
        future: Future[T] = Future()
        future.set_result(call(self._store))
        return future


class Never:
    """Another thread that hangs."""

    def submit(self, call: Callable[[Store], T]) -> "Future[T]":
        return Future()


@dataclass
class Device:
    """A whole device without its hardware."""

    store: Store
    worker: checkpoints.Worker
    clock: SteppedClock = field(default_factory=SteppedClock)
    panel: Panel = field(default_factory=Panel)
    stopping: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self.camera = SteppedCamera(self.clock)
        self.revisions: list[int] = []

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
            self.record,
            self.store,
            self.worker,
            self.panel,
            self.clock,
            Limits(**bounds),
        ).run(self.stopping)

    def record(self, session_id: str | None) -> Recording:
        return Recording(
            NoFace(),
            self.clock,
            camera={"source": "replay", "width": 64, "height": 48},
            agent={"version": "0", "model": "none@0"},
            session_id=session_id,
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
    store = Store(tmp_path / "agent.sqlite3")
    yield Device(store, AtOnce(store))
    store.close()


@pytest.fixture
def threaded(device: Device, tmp_path: Path) -> Iterator[Device]:
    """With the thread that it has in earnest."""
    worker = Worker(lambda: contextlib.closing(Store(tmp_path / "agent.sqlite3")))
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


def test_the_button_starts_a_session_and_a_long_press_ends_it(device: Device) -> None:
    device.panel.presses = ["start"]
    device.at(5, lambda: device.panel.presses.append("stop"))
    stop_when_done(device)
    device.run()
    session = device.the_session()
    assert (session["state"], session["ended_by"]) == ("ended", "button")
    assert session["started_at"] == "2026-11-22T10:00:00.000Z"
    assert 5 <= session["metrics"]["duration_s"] <= 6
    assert not device.camera.running


def test_the_start_is_in_the_store_before_the_first_frame(device: Device) -> None:
    device.panel.presses = ["start"]
    seen: list[dict[str, Any]] = []
    device.at(0, lambda: seen.append(device.the_session()))
    device.power_off_at(1)
    device.run()
    assert (seen[0]["revision"], seen[0]["state"]) == (1, "active")


def test_checkpoints_come_at_most_ten_seconds_apart(device: Device) -> None:
    device.panel.presses = ["start"]
    durations: list[float] = []
    for second in range(1, 45):
        device.at(second, lambda: durations.append(device.the_session()["metrics"]["duration_s"]))
    device.power_off_at(45)
    device.run()
    behind = [second - kept for second, kept in zip(range(1, 45), durations, strict=True)]
    assert max(behind) <= 10.1


class SlowPuts:
    """`put` takes, of one revision, for as long as `released` is not set."""

    def __init__(self, device: Device, monkeypatch: pytest.MonkeyPatch, revision: int) -> None:
        self.begun, self.released = threading.Event(), threading.Event()
        self.in_time: list[bool] = []
        self.kept: list[dict[str, Any]] = []
        put = Store.put

        def slow(store: Store, document: dict[str, Any]) -> bool:
            if document["revision"] == revision:
                self.begun.set()
                self.in_time.append(self.released.wait(10))
            if kept := put(store, document):
                self.kept.append(document)
            return kept

        monkeypatch.setattr(Store, "put", slow)
        for frame in range(10 * 30, 15 * 30):  # the other thread has its turn
            device.camera.events[frame] = lambda: self.begun.wait(0.05) and None


def test_no_frame_waits_for_a_checkpoint(threaded: Device, monkeypatch: pytest.MonkeyPatch) -> None:
    """The card takes until the camera has gone on for half a minute."""
    puts = SlowPuts(threaded, monkeypatch, revision=2)
    threaded.panel.presses = ["start"]
    threaded.at(45, puts.released.set)
    threaded.power_off_at(46)
    threaded.run()
    assert puts.in_time == [True]
    assert threaded.camera.given == 46 * FPS + 1
    assert threaded.the_session()["metrics"]["frames"] == threaded.camera.given


def test_after_a_stall_the_newest_is_kept_and_nothing_has_waited_in_a_row(
    threaded: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    puts = SlowPuts(threaded, monkeypatch, revision=2)
    threaded.panel.presses = ["start"]
    threaded.at(45, puts.released.set)
    for frame in range(round(45 * FPS) + 1, round(50 * FPS)):  # as above
        threaded.camera.events[frame] = lambda: time.sleep(0.002)
    threaded.power_off_at(50)
    threaded.run()
    durations = [each["metrics"]["duration_s"] for each in puts.kept]
    assert [each["revision"] for each in puts.kept] == [1, 2, 3, 4]
    assert durations[1] < 15
    assert 45 <= durations[2] < 50


def test_a_late_checkpoint_never_replaces_a_final_document(
    threaded: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    puts = SlowPuts(threaded, monkeypatch, revision=2)
    threaded.panel.presses = ["start"]
    threaded.power_off_at(20)
    prune = threaded.store.prune
    monkeypatch.setattr(threaded.store, "prune", lambda keep: puts.released.set() or prune(keep))
    threaded.run()
    assert puts.in_time == [True], "what was asked is waited for, after the final document"
    assert [each["state"] for each in puts.kept] == ["active", "interrupted"]
    assert threaded.the_session()["metrics"]["duration_s"] == pytest.approx(20, abs=0.1)


def test_a_store_that_hangs_costs_no_frames_and_starves_the_watchdog(
    device: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpoints, "FINISH_S", 0.05)
    fed: list[float] = []
    monkeypatch.setattr(systemd, "watchdog", lambda: fed.append(device.clock.passed_s))
    device.worker = Never()
    device.panel.presses = ["start"]
    device.power_off_at(40)
    with pytest.raises(StoreError, match="did not answer"):
        device.run()
    assert device.camera.given == 40 * FPS + 1
    assert not [each for each in fed if 0 < each < 40]
    assert device.the_session()["metrics"]["duration_s"] == pytest.approx(40, abs=0.1)


def test_a_session_ends_by_itself_at_its_limit(device: Device) -> None:
    device.panel.presses = ["start"]
    stop_when_done(device)
    device.run(session_s=20.0)
    assert device.the_session()["ended_by"] == "time_limit"


def test_a_shutdown_ends_the_session_as_interrupted_with_all_it_measured(device: Device) -> None:
    device.panel.presses = ["start"]
    device.power_off_at(7)
    device.run()
    session = device.the_session()
    assert (session["state"], session["ended_by"]) == ("interrupted", "power_loss")
    assert session["metrics"]["duration_s"] == pytest.approx(7, abs=0.1)


def test_a_session_cut_off_by_power_is_closed_at_the_next_start(device: Device) -> None:
    recording = device.record(None)
    device.store.put(recording.document())
    device.stopping.set()
    device.run()
    session = device.the_session()
    assert (session["state"], session["ended_by"]) == ("interrupted", "power_loss")
    assert session["revision"] == 2


def test_a_hung_camera_ends_the_session_and_the_process(device: Device) -> None:
    def hang() -> None:
        raise CameraError("no frame within 3 s")

    device.panel.presses = ["start"]
    device.at(3, hang)
    with pytest.raises(CameraError):
        device.run()
    assert device.the_session()["ended_by"] == "camera_fault"
    assert not device.camera.running


def test_a_camera_that_hangs_and_does_not_stop_either_is_said_to_hang(
    device: Device, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """What the light, `status` and the journal tell is the cause, not what came of it."""

    def fails(says: str) -> Callable[[], None]:
        def fail() -> None:
            raise CameraError(says)

        return fail

    monkeypatch.setattr(device.camera, "stop", fails("did not stop within 5 s"))
    monkeypatch.setattr(device.camera, "close", fails("did not close within 5 s"), raising=False)
    monkeypatch.setattr(measuring, "camera", lambda settings: device.camera)
    opened = partial(watch._camera, AgentConfig(), device.store)
    device.panel.presses = ["start"]
    device.at(3, fails("no frame within 3 s"))
    with pytest.raises(CameraError, match="no frame"), opened():
        device.run()
    assert device.the_session()["ended_by"] == "camera_fault"
    assert "did not stop" in caplog.text
    assert "did not close" in caplog.text
    with pytest.raises(CameraError, match="did not close"), opened():
        pass


def test_a_camera_that_is_unplugged_between_sessions_ends_the_process(device: Device) -> None:
    device.camera.unplugged = True
    with pytest.raises(CameraError, match="unplugged"):
        device.run()
    assert device.store.sessions(1) == []


def test_commands_start_and_stop_as_the_button_does(device: Device) -> None:
    device.store.add_command(command("start"), BEGIN)
    device.at(4, lambda: device.store.add_command(command("stop"), BEGIN) and None)
    stop_when_done(device)
    device.run()
    assert device.the_session()["ended_by"] == "command"


def test_a_stop_that_was_meant_for_another_session_ends_nothing(device: Device) -> None:
    another = "0193a1b2-7c3d-7e4f-8a5b-6c7d8e9f0a1b"
    device.panel.presses = ["start"]
    late = {**command("stop"), "session_id": another}
    device.at(2, lambda: device.store.add_command(late, BEGIN) and None)
    device.power_off_at(5)
    device.run()
    assert device.the_session()["ended_by"] == "power_loss"


def test_a_session_asked_for_by_id_has_that_id(device: Device) -> None:
    wish = "0193a1b2-7c3d-7e4f-8a5b-6c7d8e9f0a1b"
    device.store.add_command({**command("start"), "session_id": wish}, BEGIN)
    device.power_off_at(2)
    device.run()
    assert device.the_session()["session_id"] == wish


def test_an_expired_command_starts_nothing(device: Device) -> None:
    late = {**command("start"), "expires_at": iso_utc(BEGIN - timedelta(seconds=1))}
    device.store.add_command(late, BEGIN)
    threading.Timer(0.6, device.stopping.set).start()
    device.run()
    assert device.store.sessions(10) == []


def test_the_light_asks_to_be_seen(device: Device) -> None:
    device.panel.presses = ["start"]
    device.power_off_at(4)
    device.run()
    assert device.panel.shown == ["ready", "starting", "measuring", "unseen", "finishing", "off"]


def test_time_that_arrives_in_a_session_gives_it_its_true_date(device: Device) -> None:
    device.clock.wrong = timedelta(days=-365 * 26)
    device.panel.presses = ["start"]
    starts: list[str] = []
    device.at(2, lambda: starts.append(device.the_session()["started_at"]))
    device.at(5, lambda: setattr(device.clock, "wrong", timedelta(0)))
    device.power_off_at(8)
    device.run()
    session = device.the_session()
    assert starts[0].startswith("2000-")
    assert session["started_at"] == "2026-11-22T10:00:00.000Z"
    assert session["ended_at"].startswith("2026-11-22T10:00:08")
    assert session["clock"]["synchronized"] is True


def test_time_that_is_lost_and_comes_back_dates_what_was_measured_in_between(
    device: Device,
) -> None:
    """As under chrony: hours after the network went, the kernel calls its clock unsynchronised."""
    wrongs = [timedelta(0), timedelta(days=-1), timedelta(days=-1), timedelta(0)]

    def idle(timeout_s: float) -> Action | None:
        """Half a second between two sessions: the time is right, then it is not, then it is."""
        if timeout_s == 0:
            return None
        if wrongs:
            device.clock.wrong = wrongs.pop(0)
            return "start" if len(wrongs) == 1 else None
        device.stopping.set()
        return None

    device.panel.action = idle  # type: ignore[method-assign]
    device.camera.ends_after = 60
    device.run()
    assert device.the_session()["clock"]["synchronized"] is True
    assert device.the_session()["started_at"].startswith("2026-11-22T10:00:0")


def test_a_wall_clock_that_jumps_a_year_changes_no_duration(device: Device) -> None:
    device.panel.presses = ["start"]
    device.at(5, lambda: setattr(device.clock, "jumped", timedelta(days=365)))
    device.power_off_at(8)
    device.run()
    session = device.the_session()
    assert session["started_at"] == "2026-11-22T10:00:00.000Z"
    assert session["ended_at"].startswith("2026-11-22T10:00:08")
    assert session["metrics"]["duration_s"] == pytest.approx(8, abs=0.1)


def test_time_that_arrives_later_dates_the_sessions_of_this_boot(device: Device) -> None:
    device.clock.wrong = timedelta(days=-365 * 26)
    device.panel.presses = ["start"]
    device.power_off_at(5)
    device.run()
    before = device.the_session()
    device.store.acknowledge(before["session_id"], before["revision"])
    device.clock.wrong = timedelta(0)
    device.stopping.clear()
    threading.Timer(0.3, device.stopping.set).start()
    device.run(keep_sessions=0)
    after = device.the_session()
    assert before["started_at"].startswith("2000-")
    assert after["started_at"] == "2026-11-22T10:00:00.000Z"
    assert after["revision"] == before["revision"] + 1
    assert len(device.store.pending(10)) == 1
    assert after["metrics"] == before["metrics"]


def test_another_boots_dates_stay_uncertain(
    device: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    device.clock.wrong = timedelta(days=-365 * 26)
    device.panel.presses = ["start"]
    device.power_off_at(5)
    device.run()
    before = device.the_session()
    device.clock.wrong = timedelta(0)
    monkeypatch.setattr(SteppedClock, "boot_id", lambda self: "another")
    device.stopping.clear()
    threading.Timer(0.3, device.stopping.set).start()
    device.run()
    assert device.the_session() == before


def test_a_full_disk_refuses_a_new_session_and_shows_it(
    device: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(document: dict[str, Any]) -> bool:
        raise StoreError("the disk is full")

    monkeypatch.setattr(device.store, "put", full)
    device.panel.presses = ["start"]
    threading.Timer(0.6, device.stopping.set).start()
    device.run()
    assert device.panel.shown[-2:] == ["fault", "off"]
    assert device.camera.given == 0


@pytest.mark.parametrize(
    ("problem", "fails_at_s", "left"),
    [(None, 5, 1), ("the disk is full", 5, 0), ("the disk is full", None, 1)],
)
def test_delivered_sessions_make_room_on_a_full_disk_for_what_has_begun_and_for_nothing_else(
    device: Device,
    monkeypatch: pytest.MonkeyPatch,
    problem: str | None,
    fails_at_s: int | None,
    left: int,
) -> None:
    delivered = document(7)
    device.store.put(delivered)
    device.store.acknowledge(delivered["session_id"], 7)

    def refused(document: dict[str, Any]) -> bool:
        raise StoreError("it failed")

    def fails() -> None:
        monkeypatch.setattr(device.store, "put", refused)
        monkeypatch.setattr(device.store, "problem", lambda: problem)

    device.panel.presses = ["start"]
    if fails_at_s is None:  # before the session begins: pruning would not let it
        fails()
        threading.Timer(0.6, device.stopping.set).start()
    else:
        device.at(fails_at_s, fails)
        device.at(15, monkeypatch.undo)
        device.power_off_at(16)
    device.run()
    assert device.store.counts()["delivered"] == left


@pytest.mark.parametrize("second_s", [30, 300])
def test_a_command_cannot_begin_a_session_that_there_is_already(
    device: Device, caplog: pytest.LogCaptureFixture, second_s: int
) -> None:
    """Commands come from outside: neither session may be lost or written over."""
    wish = "0193a1b2-7c3d-7e4f-8a5b-6c7d8e9f0a1b"
    device.store.add_command({**command("start"), "session_id": wish}, BEGIN)
    device.power_off_at(100)
    device.run()
    first = device.the_session()
    device.stopping.clear()
    again = {**command("start"), "id": first["session_id"], "session_id": wish}
    later = BEGIN + timedelta(seconds=130)
    device.store.add_command({**again, "expires_at": iso_utc(later)}, device.clock.now())
    device.power_off_at(100 + second_s)
    threading.Timer(0.6, device.stopping.set).start()
    device.run()
    assert device.the_session() == first
    assert device.panel.shown[-2:] == ["fault", "off"]
    assert f"the store already has a newer session {wish}" in caplog.text


def test_a_device_that_cannot_keep_up_says_so_once(
    device: Device, caplog: pytest.LogCaptureFixture
) -> None:
    device.panel.presses = ["start"]
    noted: list[Any] = []
    for second in range(1, 60):
        device.at(second, lambda: setattr(device.camera, "frames_dropped", device.camera.given))
        device.at(second + 0.5, lambda: noted.append(device.store.noted("watch")))
    device.power_off_at(60)
    device.run()
    words = [each.message for each in caplog.records if "keep up" in each.message]
    assert len(words) == 1
    assert "of 5" in words[0]  # about 300 were taken of about 600, after the first ten seconds
    assert "keeps_up" not in noted[0]
    assert noted[-1]["keeps_up"] is False
    assert "keeps_up" not in device.store.noted("watch")
    assert device.the_session()["metrics"]["frames_dropped"] >= 59 * FPS


def test_a_frame_lost_now_and_then_is_no_news(
    device: Device, caplog: pytest.LogCaptureFixture
) -> None:
    device.panel.presses = ["start"]
    device.at(5, lambda: setattr(device.camera, "frames_dropped", 10))
    device.power_off_at(30)
    device.run()
    assert not [each for each in caplog.records if "keep up" in each.message]
    assert device.the_session()["metrics"]["frames_dropped"] == 10


def test_the_watchdog_is_fed_by_frames_a_few_times_a_second(
    device: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    fed: list[float] = []
    monkeypatch.setattr(systemd, "watchdog", lambda: fed.append(device.clock.passed_s))
    device.panel.presses = ["start"]
    device.power_off_at(20)
    device.run()
    assert 20 <= len(fed) <= 60
    assert max(np.diff(fed)) < 1.0


def test_a_video_that_ends_ends_the_session(device: Device) -> None:
    device.panel.presses = ["start"]
    device.camera.ends_after = 60
    stop_when_done(device)
    device.run()
    assert device.the_session()["state"] == "ended"


def command(name: str) -> dict[str, Any]:
    return {
        "id": f"00000000-0000-4000-8000-{abs(hash(name)) % 10**12:012d}",
        "command": name,
        "expires_at": iso_utc(BEGIN + timedelta(seconds=30)),
    }


def test_a_store_that_fails_in_a_session_is_shown_while_it_does(
    device: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    put, shown = device.store.put, device.panel.shown
    seen: list[LightState] = []

    def full(document: dict[str, Any]) -> bool:
        raise StoreError("the disk is full")

    device.panel.presses = ["start"]
    device.at(5, lambda: monkeypatch.setattr(device.store, "put", full))
    device.at(15, lambda: seen.append(shown[-1]))
    device.at(16, lambda: monkeypatch.setattr(device.store, "put", put))
    device.at(25, lambda: seen.append(shown[-1]))
    device.power_off_at(26)
    device.run()
    assert seen == ["fault", "unseen"]


def test_a_long_press_is_seen_at_the_next_frame(device: Device) -> None:
    device.panel.presses = ["start"]
    device.at(3.0, lambda: device.panel.presses.append("stop"))
    stop_when_done(device)
    device.run()
    assert device.camera.given == 3 * FPS + 1


@pytest.mark.parametrize(
    "error",
    [CameraError("gone"), StoreError("read-only"), ControlsError("dead"), OSError("odd")],
)
def test_what_ends_the_process_is_shown_as_a_fault_before(
    device: Device, error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "FAULT_S", 0.05)
    told: list[str] = []
    with (
        pytest.raises(SystemExit) as ended,
        showing_faults(device.panel, device.stopping),
        showing_faults(device.panel, device.stopping, told.append),
    ):
        raise error
    assert device.panel.shown == ["fault"]
    assert told == [str(error)]
    assert (ended.value.code, ended.value.__cause__) == (1, error)


def test_a_command_that_was_given_wrongly_is_no_fault_of_the_device(device: Device) -> None:
    with pytest.raises(ConfigError), showing_faults(device.panel, device.stopping):
        raise ConfigError("unknown key")
    assert device.panel.shown == []


def test_a_stop_does_not_wait_for_a_fault_to_be_seen(device: Device) -> None:
    device.stopping.set()
    begun_s = time.monotonic()
    with pytest.raises(SystemExit), showing_faults(device.panel, device.stopping):
        raise StoreError("read-only")
    assert time.monotonic() - begun_s < loop.FAULT_S / 2


def test_a_camera_is_tried_before_it_is_called_ready(device: Device) -> None:
    try_camera(device.camera, 1.0)
    assert (device.camera.given, device.camera.running) == (1, False)

    def hang() -> None:
        raise CameraError("no frame within 1 s")

    device.at(1 / FPS, hang)
    with pytest.raises(CameraError):
        try_camera(device.camera, 1.0)
    assert not device.camera.running


def test_a_store_that_can_hardly_be_used_does_not_end_a_session(
    device: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise StoreError("the disk is full")

    device.panel.presses = ["start"]
    device.at(2, lambda: monkeypatch.setattr(device.store, "take_command", full))
    device.at(3, lambda: monkeypatch.setattr(device.store, "note", full))
    device.at(4, lambda: setattr(device.camera, "frames_dropped", 1000))  # which is noted
    device.at(15, monkeypatch.undo)
    device.power_off_at(16)
    device.run()
    assert device.the_session()["metrics"]["duration_s"] == pytest.approx(16, abs=0.1)
