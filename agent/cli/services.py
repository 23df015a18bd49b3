"""The two services, `watch` and `sync`."""

import argparse
import contextlib
import logging
import signal
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime

from agent import config
from agent.cli import delivery
from agent.cli.delivery import AddCommand
from agent.config import AgentConfig
from agent.errors import ConfigError, ControlsError
from agent.store.store import Store
from agent.system import systemd
from agent.system.process_lock import process_lock
from agent.system.view_file import ViewFile, view_path

log = logging.getLogger(__name__)

ONCE_S = 60.0  # timeout of `sync --once`
FAULT_DELAY_S = 20.0  # delay before a misconfigured service exits; less than any WatchdogSec
ALIVE_S = 10.0  # time between watchdog pings while idle


def add_commands(command: AddCommand) -> None:
    """Add the commands of this file."""
    command("watch", _watch, "wait for the button and measure sessions (service)")
    sync = command("sync", _sync, "deliver pending sessions (service)")
    sync.add_argument("--once", action="store_true", help="deliver what is pending now, then exit")


def _watch(options: argparse.Namespace) -> None:
    from agent.cli.watch import measure_until_stopped

    stopping = _stopping()
    with _delayed_exit(stopping):
        measure_until_stopped(config.load(options.config), stopping)


def _sync(options: argparse.Namespace) -> int:
    if not options.once:
        stopping = _stopping()
        with _delayed_exit(stopping):
            _deliver_until_stopped(config.load(options.config), stopping)
        return 0
    settings = config.load(options.config)
    transports = delivery.transports(settings)
    with delivery.open_store(settings) as store:
        with delivery.open_sync(store, transports) as sync:
            if sync.once(ONCE_S):
                return 0
        print(delivery.delivery_report(store), file=sys.stderr)
        return 1


def _deliver_until_stopped(settings: AgentConfig, stopping: threading.Event) -> None:
    from agent.cli.release import taking_updates

    transports = delivery.transports(settings, lasting=True)
    with delivery.open_store(settings) as store, process_lock(settings.store_path, "sync"):
        if not transports:
            _wait_for_enrolment(store, stopping)
            return
        views = ViewFile(view_path(settings.store_path))
        device = settings.server.device
        with (
            taking_updates(settings),
            delivery.open_sync(store, transports, views.read, device) as sync,
        ):
            systemd.ready()
            sync.run(stopping)
            systemd.stopping()


def _wait_for_enrolment(store: Store, stopping: threading.Event) -> None:
    """Idle until the service is restarted by `enrol`.

    This is not an error: a device may measure for weeks before it is enrolled.
    """
    log.warning("nothing is delivered: %s", delivery.NO_TRANSPORT)
    at = datetime.now(UTC).isoformat(timespec="seconds")
    store.note(
        "delivery", {"ok": False, "at": at, "problem": delivery.NO_TRANSPORT, "enrolled": False}
    )
    systemd.ready()
    while not stopping.wait(ALIVE_S):
        systemd.watchdog()
    systemd.stopping()


@contextlib.contextmanager
def _delayed_exit(stopping: threading.Event) -> Iterator[None]:
    """Delay the exit after an error that only a person can fix.

    systemd restarts the service forever, and each attempt is written to the card.
    """
    try:
        yield
    except (ConfigError, ControlsError) as error:
        if systemd.supervises():
            log.error("%s (exits in %g s)", error, FAULT_DELAY_S)
            systemd.status(f"fault: {error}")
            systemd.watchdog()
            stopping.wait(FAULT_DELAY_S)
        raise


def _stopping() -> threading.Event:
    """Return an event that SIGTERM and SIGINT set."""
    event = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: event.set())
    return event
