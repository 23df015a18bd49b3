"""The upper limits of machine and database: the same prepared rows, only inserted.

A worker of bench.load that runs against the server's own database. Each line on standard input
inserts the next share; the answer is the time it took in seconds. Rows are built before the clock
starts: nothing is read, checked, looked up, numbered or answered.
"""

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench.load.senders import Document, shares

AT_ONCE = 100
"""Rows of one commit: as many as the consumer takes at most."""


def main() -> None:
    """`python -m bench.load.bulk bulk|insert FILE SIZE`, with the database in the environment.

    `bulk`: by Django's `bulk_create`, the yardstick. `insert`: as the server writes them.
    """
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "server.config.settings")
    import django

    django.setup()
    from django.db import connection

    from server.ingest.consumer import relax_garbage_collection

    relax_garbage_collection()  # as the consumer does
    how, file, size = sys.argv[1:]
    connection.ensure_connection()
    print("ready", flush=True)
    rest = shares(Path(file), int(size))
    for _ in sys.stdin:
        print(seconds(how, rows(next(rest))), flush=True)


def seconds(how: str, prepared: list[dict[str, Any]]) -> float:
    """Insert the rows, `AT_ONCE` in a transaction, and return the time it took."""
    from django.db import transaction

    from server.session_data.bulk.writing import insert_sessions
    from server.session_data.models import SessionData

    insert: Callable[[Any], object] = insert_sessions
    ready: list[Any] = prepared
    if how == "bulk":
        insert = SessionData.objects.bulk_create
        ready = [SessionData(**row) for row in prepared]
    began_s = time.perf_counter()
    for first in range(0, len(ready), AT_ONCE):
        with transaction.atomic():
            insert(ready[first : first + AT_ONCE])
    return time.perf_counter() - began_s


def rows(documents: list[Document]) -> list[dict[str, Any]]:
    """Values of `SessionData` as the consumer would store them."""
    from django.utils import timezone

    from server.devices.models import Device
    from server.session_data.accept import Acceptance, Writer, read_many

    devices = Device.objects.select_related("person").in_bulk(
        [each["device"] for each in documents]
    )
    by_id = {str(pk): device for pk, device in devices.items()}
    writers = [Writer(by_id[each["device"]].person, by_id[each["device"]]) for each in documents]
    payloads = [each["body"].encode() for each in documents]
    made = []
    for entry in read_many(list(zip(writers, payloads, strict=True))):
        assert not isinstance(entry, Acceptance), entry
        person, device = entry.owner
        owner = {"user_id": person, "device_id": device, "from_device": True, "change": 0}
        owner["activity_chosen"] = False
        made.append({"id": entry.id, "received_at": timezone.now(), **owner, **entry.columns})
    return made


if __name__ == "__main__":
    main()
