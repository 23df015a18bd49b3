"""The two services: `watch` and `sync`."""

import argparse
import contextlib
import signal
import sys
import threading

from agent import cli_parts, config, systemd
from agent.cli_parts import AddCommand
from agent.clock import Clock
from agent.controls import open_controls
from agent.watch import Limits, Watch

ONCE_S = 60.0  # the longest that `sync --once` tries


def add_commands(command: AddCommand) -> None:
    """Adds the commands of this file."""
    command("watch", _watch, "wait for the button and measure sessions (a service)")
    sync = command("sync", _sync, "deliver what is pending (a service)")
    sync.add_argument("--once", action="store_true", help="deliver what is there, then exit")


def _watch(options: argparse.Namespace) -> None:
    settings = config.load(options.config)
    clock, stopping = Clock(), _stopping()
    with (
        cli_parts.open_store(settings) as store,
        contextlib.closing(cli_parts.camera(settings)) as camera,
    ):
        tracker = cli_parts.tracker(settings)
        controls = settings.controls
        with contextlib.closing(
            open_controls(
                controls.pins, controls.button_gpio, controls.led_gpio, controls.long_press_s
            )
        ) as panel:
            Watch(
                camera,
                lambda session_id: cli_parts.recording(tracker, clock, camera, session_id),
                store,
                panel,
                clock,
                Limits(
                    session_s=60 * settings.session.limit_minutes,
                    checkpoint_s=settings.session.checkpoint_s,
                    frame_s=settings.camera.timeout_s,
                    keep_sessions=settings.store.keep_sessions,
                ),
            ).run(stopping)


def _sync(options: argparse.Namespace) -> int:
    settings = config.load(options.config)
    with cli_parts.open_store(settings) as store:
        with contextlib.closing(
            cli_parts.delivery(settings, store, lasting=not options.once)
        ) as sync:
            if not options.once:
                systemd.ready()
                sync.run(_stopping())
                systemd.stopping()
                return 0
            if sync.once(ONCE_S):
                return 0
        print(cli_parts.delivery_report(store), file=sys.stderr)
        return 1


def _stopping() -> threading.Event:
    """Set by SIGTERM and SIGINT."""
    event = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: event.set())
    return event
