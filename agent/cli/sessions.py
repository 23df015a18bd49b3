"""Session commands: start and stop a session, list sessions, resend a refused one."""

import argparse
import itertools
import json
import sys
import uuid
from collections.abc import Iterable
from datetime import timedelta

from agent import config
from agent.cli import delivery
from agent.cli.delivery import AddCommand
from agent.clock import Clock
from agent.errors import AgentError
from agent.measure.document import iso_utc
from agent.records import ACTIVITIES, COMMAND_S, Document, StoredSession
from agent.system.process_lock import lock_owner

LISTED = 1000  # sessions, at most


def add_commands(command: AddCommand) -> None:
    """Add the commands of this file."""
    start = command("start", _start, "start a session on this device")
    start.add_argument("--activity", choices=ACTIVITIES, help="what the person does in it")
    command("stop", _stop, "end the running session on this device")
    sessions = command("sessions", _sessions, "list the sessions in the store, newest first")
    sessions.add_argument("--json", action="store_true", help="print JSON")
    retry = command("retry", _retry, "send a refused session again")
    retry.add_argument("session_id", metavar="ID")


def _start(options: argparse.Namespace) -> int:
    return _command(options, "start", options.activity)


def _stop(options: argparse.Namespace) -> int:
    return _command(options, "stop")


def _command(options: argparse.Namespace, name: str, activity: str | None = None) -> int:
    """Queue a command for `watch`. Exit status 1 if `watch` is not running."""
    settings = config.load(options.config)
    with delivery.open_store(settings) as store:
        store.add_command(
            {
                "id": str(uuid.uuid4()),
                "command": name,
                "activity": activity,
                "expires_at": iso_utc(Clock().now() + timedelta(seconds=COMMAND_S)),
            }
        )
    if lock_owner(settings.store_path, "watch") is not None:
        return 0
    text = f"blink-agent watch is not running: the command expires in {COMMAND_S:.0f} s"
    print(text, file=sys.stderr)
    return 1


def _sessions(options: argparse.Namespace) -> None:
    with delivery.open_store(config.load(options.config)) as store:
        newest = itertools.islice(store.newest(), LISTED)
        if options.json:
            _print_array(each.document for each in newest)
            return
        for each in newest:
            print(_line(each))


def _line(stored: StoredSession) -> str:
    """Describe a session in one line."""
    metrics, state = stored.document["metrics"], stored.document["state"]
    sent = "refused" if stored.parked_reason else "delivered" if stored.delivered else "pending"
    blinks = metrics["blink_count"]
    return (
        f"{stored.document['started_at']}  {state:11} {metrics['duration_s'] or 0:7.1f} s "
        f"{'-' if blinks is None else blinks:>5} blinks  {sent:9} {stored.session_id}"
    )


def _print_array(documents: Iterable[Document]) -> None:
    """Print what `json.dumps(documents, indent=2)` returns, with one document in memory."""
    end = ""
    for document in documents:
        text = json.dumps(document, indent=2).replace("\n", "\n  ")
        print(f"{end or '['}\n  {text}", end="")
        end = ","
    print("\n]" if end else "[]")


def _retry(options: argparse.Namespace) -> None:
    with delivery.open_store(config.load(options.config)) as store:
        if not store.retry(options.session_id):
            raise AgentError(f"expected the id of a refused session, found {options.session_id!r}")
