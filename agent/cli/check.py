"""`blink-agent check-counting`: have `watch` check the counting, and show its steps."""

import argparse
import json
import sys
import time
import uuid
from datetime import timedelta

from agent import config
from agent.cli import delivery
from agent.clock import Clock
from agent.config import AgentConfig
from agent.measure.check import PROMPTS, Step, sentence
from agent.measure.document import iso_utc
from agent.measure.recording import uuid7
from agent.records import COMMAND_S, Document
from agent.store.store import Store
from agent.system.process_lock import lock_owner
from agent.system.view_file import ViewFile, view_path

FIRST_S = 15.0
"""How long to wait for the first step: a camera's first start takes seconds."""

STEP_S = 15.0
"""Longer than any step. A `watch` that was killed leaves the file as it was."""

RESULT_S = 10.0
"""How long to wait for the result after the last step: the store may be slow."""

LOOK_S = 0.02
"""How often to look: this is added to the person's reaction."""

SAID: dict[Step, str] = {
    "settle": "Look at the camera. Blink once at each word: BLINK.",
    "blink": "BLINK",
    "rest": "",
    "down": "Look down for three seconds, then up again.",
    "up": "",
    "shut": "Shut your eyes, count to three, and open them.",
    "open": "",
    "done": "",
}


def check(options: argparse.Namespace) -> int:
    """Check, and print the result. Exit status 1 if it was not passed, 2 if there is none."""
    settings = config.load(options.config)
    if lock_owner(settings.store_path, "watch") is None:
        return _none("blink-agent watch is not running")
    with delivery.open_store(settings) as store:
        session_id = str(uuid7(Clock().now()))
        _ask(store, session_id)
        if not _follow(settings, quiet=options.json):
            return _none("it did not begin, or was stopped: is a session running?")
        result = _result(store, session_id)
    if result is None:
        return _none("it was stopped: nothing is kept")
    print(json.dumps(result) if options.json else sentence(result))
    return int(not result["passed"])


def _ask(store: Store, session_id: str) -> None:
    expires_at = iso_utc(Clock().now() + timedelta(seconds=COMMAND_S))
    told = {"id": str(uuid.uuid4()), "command": "check", "session_id": session_id}
    store.add_command({**told, "expires_at": expires_at})


def _follow(settings: AgentConfig, *, quiet: bool) -> bool:
    """Print the steps until they end. Return whether there were any."""
    file, number = ViewFile(view_path(settings.store_path, "check")), 0
    last_s = time.monotonic()
    while time.monotonic() - last_s < (STEP_S if number else FIRST_S):
        told = file.read()
        if told is None and number:
            return True
        if told is not None and told.get("number") != number:
            number, last_s = told["number"], time.monotonic()
            if not quiet:
                _say(told)
        time.sleep(LOOK_S)
    return False


def _say(told: Document) -> None:
    text = SAID.get(told["step"], "")
    if text:
        count = f" {told['blinks_asked']}/{PROMPTS}" if told["step"] == "blink" else ""
        print(f"\a{text}{count}", flush=True)


def _result(store: Store, session_id: str) -> Document | None:
    until_s = time.monotonic() + RESULT_S
    while time.monotonic() < until_s:
        noted: Document = store.noted("check") or {}
        if noted.get("session_id") == session_id:
            return noted
        time.sleep(0.1)
    return None


def _none(why: str) -> int:
    print(f"blink-agent check-counting: {why}", file=sys.stderr)
    return 2
