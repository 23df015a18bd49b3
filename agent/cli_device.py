"""The device itself: what it is doing, and how it is set up."""

import argparse
import json
from typing import Any

from agent import __version__, cli_parts, config
from agent.cli_parts import AddCommand
from agent.errors import StoreError


def add_commands(command: AddCommand) -> None:
    """Adds the commands of this file."""
    status = command("status", _status, "what the device is doing, and what is pending and why")
    status.add_argument("--json", action="store_true")
    check = command("config", _config, "the configuration as it is understood")
    check.add_argument("action", choices=["check"])


def _status(options: argparse.Namespace) -> int:
    """A store that can't be opened is what one wants to be told, too."""
    settings = config.load(options.config)
    report: dict[str, Any] = {"version": __version__}
    report |= dict.fromkeys(("watch", "delivery", "store", "sessions"))
    refused = {}
    try:
        with cli_parts.open_store(settings) as store:
            report |= {name: store.noted(name) for name in ("watch", "delivery", "store")}
            report["sessions"] = store.counts()
            stored = store.sessions(1000)
            refused = {each.session_id: each.parked_reason for each in stored if each.parked_reason}
    except StoreError as error:
        report["store"] = {"problem": str(error)}
    if options.json:
        report["parked"] = [{"id": each, "reason": reason} for each, reason in refused.items()]
        print(json.dumps(report, indent=2))
    else:
        for name, value in report.items():
            print(f"{name:9} {cli_parts.plain(value)}")
        for each, reason in refused.items():
            print(f"refused   {each}: {reason}")
    return int(report["sessions"] is None)


def _config(options: argparse.Namespace) -> None:
    settings = config.load(options.config)
    for section, key, default, _ in config.settings():
        value = getattr(getattr(settings, section), key)
        print(f"{section}.{key} = {cli_parts.plain(value)}{'' if value == default else '  # set'}")
