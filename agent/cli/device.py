"""Commands about the device itself: its state, its setup and its identity."""

import argparse
import json
import math
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
    """Add the commands of this file."""
    state = command("status", _status, "show the device's state and its unsent sessions")
    state.add_argument("--json", action="store_true", help="print JSON")
    doctor = command("doctor", _doctor, "check every part of the device and suggest fixes")
    doctor.add_argument("--json", action="store_true", help="print JSON")
    enrol = command("enrol", _enrol, "register this device with a server, using a code from it")
    enrol.add_argument("url", metavar="URL", help="the server's URL: https://…")
    enrol.add_argument("code", metavar="CODE", nargs="+", help="the code; spaces are ignored")
    enrol.add_argument(
        "--ca", type=Path, metavar="FILE", help="CA certificates to trust for server and broker"
    )
    enrol.add_argument(
        "--mqtt-ca", type=Path, metavar="FILE", help="CA certificates for the broker, if different"
    )
    for name, whose in (("ca", "server and broker"), ("mqtt-ca", "the broker, if different")):
        enrol.add_argument(
            f"--{name}-fingerprint",
            metavar="TEXT",
            help=f"in place of --{name}: trust for {whose} what the server has with this"
            " fingerprint",
        )
    enrol.add_argument("--again", action="store_true", help="replace this device's identity")
    enrol.add_argument(
        "--same-person",
        action="store_true",
        help="with --again: unsent sessions also belong to the person of the new identity",
    )
    enrol.add_argument(
        "--insecure",
        action="store_true",
        help="allow HTTP without TLS, which anyone on the network can read",
    )
    aim = command("aim", _aim, "show how well the camera sees the eyes, and what to do")
    aim.add_argument("--json", action="store_true", help="print each view as a line of JSON")
    aim.add_argument("--seconds", type=_seconds, default=600.0, metavar="N", help="default 600")
    command("join", _join, "join a Wi-Fi and enrol, by a code that was read or a file (service)")
    checking = command("check-counting", _check, "check with a person how well blinks are counted")
    checking.add_argument("--json", action="store_true", help="print the result as JSON")
    command("self-test", _self_test, "test whether this release works here (used by upgrades)")
    check = command("config", _config, "print the configuration that is in effect")
    check.add_argument("action", choices=["check"])


def _status(options: argparse.Namespace) -> int:
    """Print the report. Exit status 1 if the store can't be opened, which is part of the report."""
    settings = config.load(options.config)
    clock = Clock(trusted=settings.session.trust_clock)
    report = status.report(settings, lambda: delivery.open_store(settings), clock)
    if options.json:
        print(json.dumps(report, indent=2))
    else:
        print("\n".join(status_text.lines(report)))
    return int(report["sessions"] is None)


def _doctor(options: argparse.Namespace) -> int:
    """Print the result of each check. Exit status 1 if something must be fixed."""
    from agent.health.doctor import examine

    results = []
    for result in examine(_checks(options)):
        results.append(result)
        if not options.json:
            print(
                f"{MARKS[result.finding.state]} {result.name:12} {result.finding.found}", flush=True
            )
            if result.finding.hint:
                print(f"{'':19}{result.finding.hint}", flush=True)
    healthy = not any(result.finding.needs_action for result in results)
    if options.json:
        print(json.dumps({"ok": healthy, "checks": [each.as_json() for each in results]}, indent=2))
    return int(not healthy)


def _checks(options: argparse.Namespace) -> "list[Check]":
    """Return all checks, or only a failed one if the configuration is invalid."""
    from agent.cli.doctor import checks, configuration
    from agent.health.doctor import bad

    try:
        return checks(config.load(options.config))
    except ConfigError as error:
        return [configuration(bad(str(error), f"correct {config.file_of(options.config)}"))]


def _enrol(options: argparse.Namespace) -> int:
    from agent.cli.enrol import run

    return run(options)


def _join(options: argparse.Namespace) -> None:
    from agent.cli.join import run

    run(options)


def _self_test(options: argparse.Namespace) -> None:
    from agent.cli.self_test import run

    run(config.load(options.config))


def _config(options: argparse.Namespace) -> None:
    settings = config.load(options.config)
    for section, key, default, _ in config.settings():
        value = getattr(getattr(settings, section), key)
        print(f"{section}.{key} = {delivery.plain(value)}{'' if value == default else '  # set'}")
    print(f"# store: {settings.store_path}")
    print(f"# models: {settings.model.cache or models.default_cache()}")
    print(f"# secrets: {settings.token_path} and {settings.password_path}")


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value <= 86400:
        raise argparse.ArgumentTypeError(f"expected seconds, above 0 to 86400, found {text}")
    return value


def _check(options: argparse.Namespace) -> int:
    from agent.cli.check import check

    return check(options)


def _aim(options: argparse.Namespace) -> int:
    from agent.cli.aim import show

    return show(options)
