"""The service `watch`, its parts made as the configuration says."""

import contextlib
import threading
from collections.abc import Iterator

from agent.capture import Camera
from agent.cli import delivery, measuring
from agent.clock import Clock
from agent.config import AgentConfig
from agent.controls.panel import open_controls
from agent.errors import StoreError
from agent.store.store import Store
from agent.system.process_lock import process_lock
from agent.system.worker import Worker
from agent.watch.loop import Limits, Watch, on_exit, showing_faults, try_camera


def measure_for_good(settings: AgentConfig, stopping: threading.Event) -> None:
    """Until `stopping` is set."""
    clock = Clock(trusted=settings.session.trust_clock)
    with (
        contextlib.closing(open_controls(settings.controls)) as panel,
        showing_faults(panel, stopping),
        delivery.open_store(settings) as store,
        process_lock(settings.store_path, "watch"),
        showing_faults(panel, stopping, lambda problem: _tell_fault(store, problem)),
        contextlib.closing(_worker(settings)) as worker,
        _camera(settings, store) as camera,
    ):
        tracker = measuring.tracker(settings)
        try_camera(camera, settings.camera.timeout_s)
        Watch(
            camera,
            lambda session_id: measuring.recording(tracker, clock, camera, session_id),
            store,
            worker,
            panel,
            clock,
            Limits(
                session_s=60 * settings.session.limit_minutes,
                checkpoint_s=settings.session.checkpoint_s,
                frame_s=settings.camera.timeout_s,
                keep_sessions=settings.store.keep_sessions,
            ),
        ).run(stopping)


def _worker(settings: AgentConfig) -> Worker[Store]:
    """The thread that waits for the disk, with a store of its own."""
    return Worker(lambda: contextlib.closing(Store(settings.store_path)))


@contextlib.contextmanager
def _camera(settings: AgentConfig, store: Store) -> Iterator[Camera]:
    """The camera, open for the block. Until it is, `status` says that this one starts: what was
    noted last is another process's. A fault stays until there is none: it is noted once, not at
    each start."""
    with contextlib.suppress(StoreError):  # a full disk keeps nobody from starting
        if (store.noted("watch") or {}).get("state") != "fault":
            store.note("watch", {"state": "starting"})
    camera = measuring.camera(settings)
    with on_exit(camera.close):
        yield camera


def _tell_fault(store: Store, problem: str) -> None:
    with contextlib.suppress(StoreError):  # which may be the very fault
        store.note("watch", {"state": "fault", "problem": problem})
