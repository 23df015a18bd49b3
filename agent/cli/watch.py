"""The service `watch`: create its parts from the configuration and run the loop."""

import contextlib
import os
import threading
from collections.abc import Iterator
from pathlib import Path

from agent import config
from agent.camera.codes import CodeReader
from agent.capture import Camera
from agent.cli import delivery, measuring
from agent.clock import Clock
from agent.config import AgentConfig
from agent.controls.panel import open_controls
from agent.enrol.codes import CodeError, WifiCode, parse
from agent.errors import ConfigError, StoreError
from agent.store.store import Store
from agent.system import clean_pages, systemd
from agent.system.handover import Requests
from agent.system.process_lock import process_lock
from agent.system.view_file import ViewFile, view_path
from agent.system.worker import Worker
from agent.watch.aiming import Aiming
from agent.watch.checking import Checking
from agent.watch.codes import Codes, Seen
from agent.watch.loop import Limits, Watch, on_exit, showing_faults, try_camera
from agent.watch.request import Activities

WAIT_S = 3.0  # longer than a transaction of `sync` on a worn card; a press waits no longer


def measure_until_stopped(settings: AgentConfig, stopping: threading.Event) -> None:
    """Measure sessions until `stopping` is set."""
    clock = Clock(trusted=settings.session.trust_clock)
    with (
        contextlib.closing(open_controls(settings.controls)) as panel,
        showing_faults(panel, stopping),
        delivery.open_store(settings, wait_s=WAIT_S) as store,
        process_lock(settings.store_path, "watch"),
        showing_faults(panel, stopping, lambda problem: _note_fault(store, problem)),
        contextlib.closing(_open_worker(settings)) as worker,
        _camera(settings, store) as camera,
    ):
        tracker = measuring.tracker(settings)
        activities = Activities(settings.session.activity, settings.session.activity_button)
        try_camera(camera, settings.camera.timeout_s)
        clean_pages.release()
        views, steps = (ViewFile(view_path(settings.store_path, it)) for it in ("aim", "check"))
        for each in (views, steps):
            each.remove()  # of a process that was killed
        Watch(
            camera,
            lambda request: measuring.recording(
                tracker, clock, camera, request.session_id, activity=activities.of(request)
            ),
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
            Aiming(camera, tracker, panel, store, clock, views, settings.camera.timeout_s).run,
            Checking(
                camera,
                lambda session_id, down: measuring.recording(
                    tracker, clock, camera, session_id, down
                ),
                panel,
                store,
                clock,
                steps,
                settings.camera.timeout_s,
            ).run,
            _codes(settings),
            reminds=panel.has_light,
        ).run(stopping)


def _codes(settings: AgentConfig) -> Codes | None:
    """Return what is needed to look for codes, or None without the service that takes them.

    systemd gives `watch` the folder for its requests, beside the unit of that service.
    """
    folder = os.environ.get("RUNTIME_DIRECTORY")
    if folder is None:
        return None
    requests = Requests(Path(folder))
    requests.withdraw()  # of an earlier process
    reader = CodeReader(flip=settings.camera.flip)
    return Codes(reader.read, _understand, requests, lambda: _has_owner(settings.file))


def _has_owner(file: Path) -> bool:
    """Return whether the device is enrolled by now; `enrol` replaces the file."""
    try:
        return config.load(file if file.exists() else None).server.device is not None
    except ConfigError:
        return False


def _understand(text: str) -> Seen:
    try:
        return Seen("wifi" if isinstance(parse(text), WifiCode) else "server")
    except CodeError as error:
        return Seen(error.kind, str(error))


def _open_worker(settings: AgentConfig) -> Worker[Store]:
    """Start the thread that waits for the disk, with its own connection to the store."""
    return Worker(
        lambda: contextlib.closing(
            Store(settings.store_path, alive=systemd.long_step, wait_s=WAIT_S)
        )
    )


@contextlib.contextmanager
def _camera(settings: AgentConfig, store: Store) -> Iterator[Camera]:
    """Open the camera for the length of the block.

    Meanwhile `status` shows this process as starting; the last note is from an earlier process. A
    fault stays noted until it is gone, so that it is not written again at each restart.
    """
    with contextlib.suppress(StoreError):  # a full disk must not prevent the start
        if (store.noted("watch") or {}).get("state") != "fault":
            store.note("watch", {"state": "starting"})
    camera = measuring.camera(settings)
    with on_exit(camera.close):
        yield camera


def _note_fault(store: Store, problem: str) -> None:
    with contextlib.suppress(StoreError):  # the store may be the fault
        store.note("watch", {"state": "fault", "problem": problem})
