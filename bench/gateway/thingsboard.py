"""The SQLite storage of thingsboard-gateway, as a process to be killed, in its own environment.

    python thingsboard.py CONTROL DATA PORT PACE_S
    python thingsboard.py read DATA...

As `bench.gateway.blinklog`. The storage is the package's own class with the settings that its
documentation recommends. A thread sends as the gateway's own does: it reads a pack, sends all of
it, and calls `event_pack_processing_done` only once the server has answered; else it sends the
pack again.
"""

import json
import logging
import os
import sys
import threading
import time
import urllib.request
import uuid
from pathlib import Path
from typing import Any

from journal import Journal, checksum, enough, tell_idle
from thingsboard_gateway.storage.sqlite.sqlite_event_storage import SQLiteEventStorage

DOCUMENTED = {
    "type": "sqlite",
    "max_read_records_count": 1000,
    "size_limit": 1024,
    "max_db_amount": 10,
    "oversize_check_period": 1,
    "writing_batch_size": 1000,
    "messages_ttl_check_in_hours": 1,
    "messages_ttl_in_days": 7,
}
SEND_DELAY_S = 0.05  # its `minPackSendDelayMS`, as documented
RETRY_S = 1.0  # its wait while there is no connection
ANSWER_S = 3.0
GOES_ON_S = 20.0  # a record that is put can be read some tenths of a second later


def main(control: Path, data: Path, port: int, pace_s: float) -> None:
    """Deliver for ever, and make records for ever."""
    storage = _storage(data)
    journal = Journal(control)
    threading.Thread(target=_deliver, args=(storage, port, journal), daemon=True).start()
    while True:
        if not enough(control):
            record = str(uuid.uuid4())
            event = _event(record)
            if storage.put(json.dumps(event)):
                journal.accepted(record, event["telemetry"][0]["values"])
        tell_idle(control, storage.len() == 0)
        time.sleep(pace_s)


def read(data: Path) -> dict[str, Any]:
    """Return what a storage would send, and whether it goes on."""
    storage = _storage(data)
    waiting = _taken(storage)
    record = str(uuid.uuid4())
    storage.put(json.dumps(_event(record)))
    until_s = time.monotonic() + GOES_ON_S
    found: dict[str, str] = {}
    while record not in found and time.monotonic() < until_s:
        time.sleep(SEND_DELAY_S)
        found.update(_taken(storage))
    storage.stop()
    return {"waiting": waiting, "goes_on": record in found}


def _taken(storage: Any) -> dict[str, str]:
    """Return the records that are stored, with their checksums, and have them removed."""
    found = {}
    while events := storage.get_event_pack():
        found.update({each["id"]: checksum(each) for each in _values(events)})
        storage.event_pack_processing_done()
    return found


def _values(events: list[str]) -> list[dict[str, Any]]:
    return [item["values"] for event in events for item in json.loads(event)["telemetry"]]


def _storage(data: Path) -> Any:
    settings = {**DOCUMENTED, "data_file_path": f"{data}/data/"}
    return SQLiteEventStorage(settings, _log(), threading.Event())


def _event(record: str) -> dict[str, Any]:
    values = {"id": record, "blink_count": 212, "blink_rate": 14.1, "perclos": 0.031}
    return {
        "deviceName": "box",
        "deviceType": "default",
        "telemetry": [{"ts": int(time.time() * 1000), "values": values}],
        "attributes": [],
    }


def _deliver(storage: Any, port: int, journal: Journal) -> None:
    while True:
        events = storage.get_event_pack()
        if not events:
            time.sleep(SEND_DELAY_S)
            continue
        pack = [item for event in events for item in json.loads(event)["telemetry"]]
        if _sent(pack, port):
            storage.event_pack_processing_done()
            for each in _values(events):
                journal.delivered(each["id"])
        else:
            time.sleep(RETRY_S)


def _sent(pack: list[dict[str, Any]], port: int) -> bool:
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/telemetry", json.dumps(pack).encode(), method="POST"
    )
    try:
        with urllib.request.urlopen(request, timeout=ANSWER_S) as answer:
            return bool(answer.status == 200)
    except (OSError, ValueError):
        return False


def _log() -> logging.Logger:
    """A logger with the level that the storage expects beside the usual ones."""
    log: Any = logging.getLogger("storage")
    log.trace = lambda *_, **__: None
    return log


if __name__ == "__main__":
    if sys.argv[1] == "read":
        for folder in sys.argv[2:]:
            print(json.dumps(read(Path(folder))), flush=True)
        os._exit(0)  # without waiting for its threads
    main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4]))
