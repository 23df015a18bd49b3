"""The two services: `watch` and `sync`."""

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

log = logging.getLogger(__name__)

ONCE_S = 60.0  # the longest that `sync --once` tries
SELDOM_S = 20.0  # before a service that is configured wrongly ends: less than any WatchdogSec
ALIVE_S = 10.0  # between two words to the watchdog while there is nothing else to do


def add_commands(command: AddCommand) -> None:
    """Adds the commands of this file."""
    command("watch", _watch, "wait for the button and measure sessions (a service)")
    sync = command("sync", _sync, "deliver what is pending (a service)")
    sync.add_argument("--once", action="store_true", help="deliver what is there, then exit")


def _watch(options: argparse.Namespace) -> None:
    from agent.cli.watch import measure_for_good

    stopping = _stopping()
    with _tried_seldom(stopping):
        measure_for_good(config.load(options.config), stopping)


def _sync(options: argparse.Namespace) -> int:
    if not options.once:
        stopping = _stopping()
        with _tried_seldom(stopping):
            _deliver_for_good(config.load(options.config), stopping)
        return 0
    settings = config.load(options.config)
    ways = delivery.transports(settings)
    with delivery.open_store(settings) as store:
        with delivery.open_sync(store, ways) as sync:
            if sync.once(ONCE_S):
                return 0
        print(delivery.delivery_report(store), file=sys.stderr)
        return 1


def _deliver_for_good(settings: AgentConfig, stopping: threading.Event) -> None:
    ways = delivery.transports(settings, lasting=True)
    with delivery.open_store(settings) as store, process_lock(settings.store_path, "sync"):
        if not ways:
            _wait_for_enrolment(store, stopping)
            return
        with delivery.open_sync(store, ways) as sync:
            systemd.ready()
            sync.run(stopping)
            systemd.stopping()


def _wait_for_enrolment(store: Store, stopping: threading.Event) -> None:
    """Not an error: a device may measure for weeks before it is somebody's. `enrol` starts the
    service anew."""
    log.warning("nothing is delivered: %s", delivery.NOWHERE)
    at = datetime.now(UTC).isoformat(timespec="seconds")
    store.note("delivery", {"ok": False, "at": at, "problem": delivery.NOWHERE, "enrolled": False})
    systemd.ready()
    while not stopping.wait(ALIVE_S):
        systemd.watchdog()
    systemd.stopping()


@contextlib.contextmanager
def _tried_seldom(stopping: threading.Event) -> Iterator[None]:
    """Takes its time to end for what only a person can mend: systemd tries again for ever, and each
    try is written to the card."""
    try:
        yield
    except (ConfigError, ControlsError) as error:
        if systemd.supervises():
            log.error("%s (ends in %g s)", error, SELDOM_S)
            systemd.status(f"fault: {error}")
            systemd.watchdog()
            stopping.wait(SELDOM_S)
        raise


def _stopping() -> threading.Event:
    """Set by SIGTERM and SIGINT."""
    event = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: event.set())
    return event
