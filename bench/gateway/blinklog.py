"""Blinklog's store and delivery, as a process to be killed: records in, and sent over HTTP.

    python -m bench.gateway.blinklog FOLDER PORT PACE_S

Makes a session document every PACE_S seconds until there is a file FOLDER/enough, and writes down
in FOLDER/journal each that the store has accepted. Delivers in any case, and leaves FOLDER/idle
there while nothing is unsent.
"""

import json
import sys
import threading
import time
import uuid
from pathlib import Path
from typing import Any

from agent.store.store import Store
from agent.sync import Sync
from agent.transport.http import HttpSettings, HttpTransport
from bench.gateway.journal import Journal, enough, tell_idle

FINAL = Path(__file__).resolve().parents[2] / "tests" / "golden" / "final.json"


def main(folder: Path, port: int, pace_s: float) -> None:
    """Deliver for ever, and make records for ever."""
    path = folder / "agent.sqlite3"
    store = Store(path)  # creates it, before the other thread opens it
    threading.Thread(target=_deliver, args=(path, port), daemon=True).start()
    journal = Journal(folder)
    document: dict[str, Any] = {**json.loads(FINAL.read_text()), "revision": 1}
    while True:
        if not enough(folder):
            record = str(uuid.uuid4())
            if store.put({**document, "session_id": record}):
                journal.accepted(record)
        tell_idle(folder, store.counts()["pending"] == 0)
        time.sleep(pace_s)


def _deliver(path: Path, port: int) -> None:
    settings = HttpSettings(f"http://127.0.0.1:{port}", "a token", timeout_s=3.0)
    Sync(Store(path), [HttpTransport(settings)]).run(threading.Event())


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]))
