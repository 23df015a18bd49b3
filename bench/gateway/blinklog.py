"""Blinklog's store and delivery, as a process to be killed: records in, and sent over HTTP.

    python -m bench.gateway.blinklog CONTROL DATA PORT PACE_S
    python -m bench.gateway.blinklog read DATA...

The first makes a session document every PACE_S seconds until there is a file CONTROL/enough, and
keeps CONTROL/journal. It delivers in any case, and leaves CONTROL/idle there while nothing is
unsent. Its store is in DATA. The second tells for each store, in a line of JSON, what it would
send, and whether it goes on.
"""

import contextlib
import json
import logging
import sys
import threading
import time
import uuid
from pathlib import Path
from typing import Any

from agent.store.store import Store
from agent.sync import Sync
from agent.transport.http import HttpSettings, HttpTransport
from bench.gateway.journal import Journal, checksum, enough, tell_idle

FINAL = Path(__file__).resolve().parents[2] / "tests" / "golden" / "final.json"
NAME = "agent.sqlite3"
ALL = 100_000


class JournaledStore(Store):
    """A store that writes down which sessions it has recorded as delivered."""

    journal: Journal

    def acknowledge(self, session_id: str, revision: int) -> bool:
        changed = super().acknowledge(session_id, revision)
        self.journal.delivered(session_id)
        return changed


def main(control: Path, data: Path, port: int, pace_s: float) -> None:
    """Deliver for ever, and make records for ever."""
    store = Store(data / NAME)  # creates it, before the other thread opens it
    journal = Journal(control)
    deliver = threading.Thread(target=_deliver, args=(data / NAME, port, journal), daemon=True)
    deliver.start()
    while True:
        if not enough(control):
            document = _document()
            if store.put(document):
                journal.accepted(document["session_id"], document)
        tell_idle(control, store.counts()["pending"] == 0)
        time.sleep(pace_s)


def read(data: Path) -> dict[str, Any]:
    """Return what a store would send, and whether it goes on without having been damaged."""
    with contextlib.closing(Store(data / NAME)) as store:
        waiting = {each["session_id"]: checksum(each) for each in store.pending(ALL)}
        document = _document()
        store.put(document)
        goes_on = document in store.pending(ALL)
    return {"waiting": waiting, "goes_on": goes_on and not any(data.glob("*.damaged-*"))}


def _document() -> dict[str, Any]:
    final = json.loads(FINAL.read_text())
    return {**final, "revision": 1, "session_id": str(uuid.uuid4())}


def _deliver(path: Path, port: int, journal: Journal) -> None:
    settings = HttpSettings(f"http://127.0.0.1:{port}", "a token", timeout_s=3.0)
    store = JournaledStore(path)
    store.journal = journal
    Sync(store, [HttpTransport(settings)]).run(threading.Event())


if __name__ == "__main__":
    if sys.argv[1] == "read":
        logging.disable(logging.CRITICAL)
        for folder in sys.argv[2:]:
            print(json.dumps(read(Path(folder))), flush=True)
    else:
        main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4]))
