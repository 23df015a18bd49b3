"""The device itself: what it is doing, and how it is set up."""

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING

from agent import config
from agent.cli import delivery
from agent.cli.delivery import AddCommand
from agent.clock import Clock
from agent.errors import ConfigError
from agent.face import models
from agent.health import status, status_text

if TYPE_CHECKING:
    from agent.health.doctor import Check

MARKS = {"ok": "ok    ", "bad": "BAD   ", "off": "-     ", "broken": "BROKEN"}


def add_commands(command: AddCommand) -> None:
    """Adds the commands of this file."""
    said = command("status", _status, "what the device is doing, and what is pending and why")
    said.add_argument("--json", action="store_true")
    doctor = command("doctor", _doctor, "look at every part: what was found, and how to mend it")
    doctor.add_argument("--json", action="store_true")
    enrol = command("enrol", _enrol, "make this device somebody's, with a code from the server")
    enrol.add_argument("url", metavar="URL", help="the server's address: https://…")
    enrol.add_argument("code", metavar="CODE", nargs="+", help="the code; spaces don't matter")
    enrol.add_argument(
        "--ca", type=Path, metavar="FILE", help="trust these certificates at server and broker"
    )
    enrol.add_argument(
        "--mqtt-ca", type=Path, metavar="FILE", help="trust these at the broker, if it has others"
    )
    enrol.add_argument(
        "--again", action="store_true", help="replace the identity that this device has"
    )
    enrol.add_argument(
        "--same-person",
        action="store_true",
        help="with --again: what waits here belongs to the new identity's person, too",
    )
    enrol.add_argument(
        "--insecure", action="store_true", help="without TLS, readable by anybody in between"
    )
    command("self-test", _self_test, "whether this release works here: what an upgrade is asked")
    check = command("config", _config, "the configuration as it is understood")
    check.add_argument("action", choices=["check"])


def _status(options: argparse.Namespace) -> int:
    """A store that can't be opened is what one wants to be told, too."""
    settings = config.load(options.config)
    clock = Clock(trusted=settings.session.trust_clock)
    report = status.report(settings, lambda: delivery.open_store(settings), clock)
    if options.json:
        print(json.dumps(report, indent=2))
    else:
        print("\n".join(status_text.lines(report)))
    return int(report["sessions"] is None)


def _doctor(options: argparse.Namespace) -> int:
    """Exit status 1 where somebody has to do something."""
    from agent.health.doctor import examine

    results = []
    for result in examine(_checks(options)):
        results.append(result)
        if not options.json:
            print(
                f"{MARKS[result.finding.state]} {result.name:12} {result.finding.found}", flush=True
            )
            if result.finding.mend:
                print(f"{'':19}{result.finding.mend}", flush=True)
    well = not any(result.finding.needs_mending for result in results)
    if options.json:
        print(json.dumps({"ok": well, "checks": [each.as_json() for each in results]}, indent=2))
    return int(not well)


def _checks(options: argparse.Namespace) -> "list[Check]":
    """A configuration that can't be understood leaves nothing else to look at."""
    from agent.cli.doctor import checks, configuration
    from agent.health.doctor import bad

    try:
        return checks(config.load(options.config))
    except ConfigError as error:
        return [configuration(bad(str(error), f"correct {config.file_of(options.config)}"))]


def _enrol(options: argparse.Namespace) -> int:
    from agent.cli.enrol import run

    return run(options)


def _self_test(options: argparse.Namespace) -> None:
    from agent.cli.self_test import run

    run(config.load(options.config))


def _config(options: argparse.Namespace) -> None:
    settings = config.load(options.config)
    for section, key, default, _ in config.settings():
        value = getattr(getattr(settings, section), key)
        print(f"{section}.{key} = {delivery.plain(value)}{'' if value == default else '  # set'}")
    print(f"# the store is {settings.store_path}")
    print(f"# the models are in {settings.model.cache or models.default_cache()}")
    print(f"# the secrets are {settings.token_path} and {settings.password_path}")
