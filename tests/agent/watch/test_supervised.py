"""The real services under what systemd does: each hung part leads to a restart, and all is well."""

import contextlib
import fcntl
import re
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from agent.errors import ModelError
from agent.face import models
from agent.store.store import Store
from agent.sync import ACK_S
from scripts.portrait import demo_schedule, load_portrait, write_video
from tests.agent.documents import document
from tests.agent.servers import Consumer, History
from tests.agent.store.locks import locked
from tests.agent.supervisor import Supervisor, supervised
from tests.broker import Broker, needs_mosquitto, running_broker

ROOT = Path(__file__).parents[3]
DEVICE = "0193a1b2-0000-7000-8000-000000000001"
USERS = {DEVICE: "device-secret", "blinklog-server": "server-secret"}
WATCHDOG_S = 4.0  # pings come four times a second, also where everything else is busy too


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store(tmp_path / "agent.sqlite3")
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("video") / "portrait.avi"
    try:
        models.fetch(models.default_cache())
        portrait = load_portrait()
    except ModelError as error:
        pytest.skip(f"the models are not here and can't be fetched: {error}")
    write_video(path, portrait, demo_schedule(2.0), seconds=2.0, fps=15.0)
    return path


def service(tmp_path: Path, part: str, name: str) -> list[str]:
    """The command of a service with a part that can be made to hang by `strike`."""
    sabotage = ["-m", "tests.agent.sabotage", part, str(tmp_path / "strike")]
    return [sys.executable, *sabotage, "--config", str(tmp_path / "agent.toml"), name]


def strike(tmp_path: Path) -> None:
    (tmp_path / "strike").touch()


def begin(store: Store) -> None:
    """A session, by command."""
    command = {"id": "0193a1b2-0000-4000-8000-000000000001", "command": "start"}
    assert store.add_command({**command, "expires_at": "2026-11-22T10:00:30Z"})


def session(store: Store) -> dict[str, Any]:
    """The newest."""
    found = store.sessions(1)
    nothing = {"state": None, "ended_by": None, "revision": 0}
    return found[0].document if found else nothing


# watch


@contextlib.contextmanager
def watching(tmp_path: Path, part: str, camera: str, **environment: str) -> Iterator[Supervisor]:
    configured(tmp_path, camera)
    with supervised(service(tmp_path, part, "watch"), tmp_path, WATCHDOG_S, **environment) as one:
        yield one


def configured(tmp_path: Path, camera: str) -> None:
    (tmp_path / "agent.toml").write_text(
        f'[camera]\n{camera}\ntimeout_s = 1\n[controls]\npins = "mock"\n'
        f'[store]\npath = "{tmp_path / "agent.sqlite3"}"\n[session]\ncheckpoint_s = 1\n'
    )


def replayed(video: Path) -> str:
    return f'source = "replay"\nfile = "{video}"\nloop = true'


def test_memory_that_only_the_start_needed_is_given_back(
    tmp_path: Path, store: Store, video: Path
) -> None:
    """The runtime has its own copies of the models, so their files need not stay in memory."""
    with watching(tmp_path, "camera hangs", replayed(video)) as watch:
        watch.run_until(lambda: watch.ready, "it is ready")
        maps = Path(f"/proc/{watch.pid}/smaps").read_text()
        resident = re.findall(r"(\S+\.tflite)\n(?:.*\n)*?Rss: +(\d+) kB", maps)
        assert {Path(name).name.split("-")[0] for name, _ in resident} >= {"eye_stem", "face_trunk"}
        assert sum(int(kb) for _, kb in resident) == 0
        begin(store)
        watch.run_until(lambda: session(store)["revision"] >= 2, "a session is measured")


@pytest.mark.parametrize("how", ["silent", "stuck"])
def test_a_camera_that_hangs_ends_the_session_as_camera_fault_and_the_process(
    tmp_path: Path, store: Store, video: Path, how: str
) -> None:
    hanging = {"BLINKLOG_STANDIN": f"{how}:20", "PYTHONPATH": str(ROOT / "tests" / "standins")}
    with watching(tmp_path, "camera hangs", 'source = "picamera2"', **hanging) as watch:
        begin(store)
        watch.run_until(lambda: watch.ends, "it ends")
        assert watch.ends == ["1"], "by itself: the watchdog had no need"
        assert any("fault" in each and "camera" in each for each in watch.statuses)
        assert (session(store)["state"], session(store)["ended_by"]) == ("ended", "camera_fault")
        watch.run_until(lambda: watch.ready, "it is ready again")


def test_a_camera_that_hangs_beyond_every_bound_is_ended_by_the_watchdog(
    tmp_path: Path, store: Store, video: Path
) -> None:
    with watching(tmp_path, "camera hangs", replayed(video)) as watch:
        begin(store)
        watch.run_until(lambda: session(store)["state"] == "active", "a session")
        strike(tmp_path)
        watch.run_until(lambda: watch.ends, "it ends")
        assert watch.ends == ["watchdog"]
        watch.run_until(lambda: watch.ready, "it is ready again")
        assert session(store)["state"] == "interrupted"


def test_a_store_that_hangs_in_watch_is_ended_by_the_watchdog(
    tmp_path: Path, store: Store, video: Path
) -> None:
    with watching(tmp_path, "store hangs", replayed(video)) as watch:
        strike(tmp_path)
        watch.run_until(lambda: watch.ends, "it ends")
        assert watch.ends == ["watchdog"]
        watch.run_until(lambda: watch.ready, "it is ready again")


def test_a_store_that_hangs_in_a_session_is_ended_by_the_watchdog_whatever_the_frames_do(
    tmp_path: Path, store: Store, video: Path
) -> None:
    with watching(tmp_path, "store hangs", replayed(video)) as watch:
        begin(store)
        watch.run_until(lambda: session(store)["revision"] > 1, "a checkpoint")
        strike(tmp_path)
        watch.run_until(lambda: watch.ends, "it ends")
        assert watch.ends == ["watchdog"]
        watch.run_until(lambda: watch.ready, "it is ready again")
        assert session(store)["state"] == "interrupted"


def test_a_store_that_is_locked_for_a_while_ends_no_session(
    tmp_path: Path, store: Store, video: Path
) -> None:
    with watching(tmp_path, "store hangs", replayed(video)) as watch:
        begin(store)
        watch.run_until(lambda: session(store)["revision"] > 1, "a checkpoint")
        before = session(store)["revision"]
        with (tmp_path / "agent.sqlite3.lock").open() as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            watch.run_until(
                lambda: "the store can't save a session" in watch.log.read_text(), "it is refused"
            )
        watch.run_until(lambda: session(store)["revision"] > before + 1, "checkpoints again")
        assert (watch.ends, session(store)["state"]) == ([], "active")


def test_a_database_browser_that_locks_the_store_as_a_session_ends_costs_nothing(
    tmp_path: Path, store: Store, video: Path
) -> None:
    with watching(tmp_path, "store hangs", replayed(video)) as watch:
        begin(store)
        watch.run_until(lambda: session(store)["revision"] > 1, "a checkpoint")
        kept_s = session(store)["metrics"]["duration_s"]
        with locked(tmp_path / "agent.sqlite3"):
            watch.run_until(passed(WATCHDOG_S + 1), "time, and checkpoints that fail")
            watch.signal(signal.SIGUSR1)
            watch.run_until(passed(1.8), "a long press")
            watch.signal(signal.SIGUSR2)
            watch.run_until(lambda: "was set down" in watch.log.read_text(), "it is set down")
            watch.run_until(passed(WATCHDOG_S + 1), "time between sessions")
            assert session(store)["state"] == "active"
            assert watch.ends == []
            watch.signal(signal.SIGKILL)
            watch.run_until(lambda: watch.ends, "it is killed before it can take it in")
            watch.run_until(lambda: watch.ready, "it is ready again, locked or not")
        watch.run_until(lambda: session(store)["state"] != "active", "it is taken in")
        assert watch.ends == ["-9"]
    assert len(store.sessions(9)) == 1
    assert session(store)["state"] == "ended"
    assert session(store)["ended_by"] == "button"
    assert session(store)["metrics"]["duration_s"] > kept_s + WATCHDOG_S + 1
    assert session(store)["blinks"] is not None


def passed(seconds: float) -> Callable[[], bool]:
    end_s = time.monotonic() + seconds
    return lambda: time.monotonic() > end_s


def test_a_store_that_somebody_locks_for_good_ends_watch_until_it_is_free(
    tmp_path: Path, store: Store, video: Path
) -> None:
    with watching(tmp_path, "store hangs", replayed(video)) as watch:
        with (tmp_path / "agent.sqlite3.lock").open() as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            watch.run_until(lambda: len(watch.ends) == 2, "it ends, again and again")
        assert watch.ends == ["1", "1"]
        assert "locked by another process" in watch.log.read_text()
        assert any("fault" in each and "locked" in each for each in watch.statuses)
        watch.run_until(lambda: watch.ready, "it is ready again")


@pytest.mark.parametrize(
    ("camera", "models_in", "says"),
    [
        ('source = "usb"\ndevice = "/dev/video-none"', None, "V4L2"),
        (None, "nowhere", "is missing"),
    ],
)
def test_a_watch_that_cannot_even_begin_shows_a_fault_again_and_again(
    tmp_path: Path,
    video: Path,
    camera: str | None,
    models_in: str | None,
    says: str,
) -> None:
    folder = models.default_cache() if models_in is None else tmp_path / models_in
    configured(tmp_path, camera or replayed(video))
    watch = Supervisor(
        service(tmp_path, "store hangs", "watch"),
        tmp_path,
        WATCHDOG_S,
        {"BLINKLOG_MODELS": str(folder)},
    )
    try:
        watch.run_until(lambda: len(watch.statuses) == 2, "it shows a fault twice")
    finally:
        watch.stop()
    assert all(each.startswith("fault") and says in each for each in watch.statuses)
    assert watch.ends == ["1"]
    with contextlib.closing(Store(tmp_path / "agent.sqlite3")) as store:
        note = store.noted("watch")
    assert note["state"] == "fault"
    assert says in note["problem"], "for blink-agent status"


@pytest.mark.parametrize("name", ["watch", "sync"])
def test_a_service_that_is_configured_wrongly_is_tried_seldom_and_stops_at_once(
    tmp_path: Path, name: str
) -> None:
    (tmp_path / "agent.toml").write_text("[camera]\nsourec = 1\n")
    one = Supervisor(service(tmp_path, "store hangs", name), tmp_path, WATCHDOG_S, {})
    try:
        one.run_until(lambda: one.statuses, "it says what is wrong")
        assert one.ends == []
        one.signal(signal.SIGTERM)
        one.run_until(lambda: one.ends, "it ends when told to")
    finally:
        one.stop()
    assert "sourec" in one.statuses[0]
    assert one.ends == ["1"]


# sync


@pytest.fixture
def history() -> History:
    return History()


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    (tmp_path / "broker").mkdir()
    with running_broker(tmp_path / "broker", USERS) as broker:
        yield broker


@pytest.fixture
def consumer(broker: Broker, history: History) -> Iterator[Consumer]:
    consumer = Consumer(history, "blinklog-server", USERS["blinklog-server"])
    consumer.start(broker.host, broker.port)
    yield consumer
    consumer.stop()


@contextlib.contextmanager
def syncing(
    tmp_path: Path, part: str, broker: Broker, watchdog_s: float = WATCHDOG_S
) -> Iterator[Supervisor]:
    (tmp_path / "password").write_text(USERS[DEVICE])
    (tmp_path / "agent.toml").write_text(
        f'[server]\ndevice = "{DEVICE}"\n[mqtt]\nhost = "{broker.host}"\nport = {broker.port}\n'
        f'tls = false\npassword_file = "{tmp_path / "password"}"\n'
        f'[store]\npath = "{tmp_path / "agent.sqlite3"}"\n'
    )
    with supervised(service(tmp_path, part, "sync"), tmp_path, watchdog_s) as one:
        yield one


def delivers(store: Store, history: History, sync: Supervisor) -> None:
    """A session, to its end."""
    store.put(made := document(7))
    sync.run_until(lambda: made["session_id"] in history.revisions(), "it is in the history")
    sync.run_until(lambda: store.counts()["pending"] == 0, "and the device knows")


@pytest.mark.needs_broker
@needs_mosquitto
@pytest.mark.parametrize(
    ("part", "ends"), [("store hangs", ["watchdog"]), ("paho hangs", ["1"]), ("paho dies", [])]
)
def test_whatever_hangs_in_sync_it_delivers_again(
    tmp_path: Path,
    store: Store,
    broker: Broker,
    consumer: Consumer,
    history: History,
    part: str,
    ends: list[str],
) -> None:
    """A dead thread is replaced in the process; what hangs ends it."""
    watchdog_s = WATCHDOG_S if part == "store hangs" else ACK_S + WATCHDOG_S
    with syncing(tmp_path, part, broker, watchdog_s) as sync:
        delivers(store, history, sync)
        strike(tmp_path)
        delivers(store, history, sync)
        assert not (tmp_path / "strike").exists(), "it was hit"
        assert sync.ends == ends


@pytest.mark.needs_broker
@needs_mosquitto
def test_a_store_that_is_locked_for_good_ends_sync_until_it_is_free(
    tmp_path: Path, store: Store, broker: Broker, consumer: Consumer, history: History
) -> None:
    with syncing(tmp_path, "store hangs", broker) as sync:
        with (tmp_path / "agent.sqlite3.lock").open() as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            sync.run_until(lambda: sync.ends, "it ends")
        assert sync.ends[0] == "watchdog"
        delivers(store, history, sync)
