"""The upper limit of machine and database: the same prepared rows, inserted in bulk.

A worker of bench.load that runs against the server's own database. Each line on standard input
inserts the next share; the answer is the time it took in seconds. Rows are built before the clock
starts: nothing is read, checked, looked up or answered.
"""

import os
import sys
import time
from pathlib import Path
from typing import Any

from bench.load.senders import Document, shares

AT_ONCE = 100
"""Rows of one INSERT and one commit: as many as the consumer takes at most."""


def main() -> None:
    """`python -m bench.load.bulk FILE SIZE`, with the database in the environment."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "server.config.settings")
    import django

    django.setup()
    from django.db import connection, transaction

    from server.session_data.models import SessionData

    connection.ensure_connection()
    print("ready", flush=True)
    rest = shares(Path(sys.argv[1]), int(sys.argv[2]))
    for _ in sys.stdin:
        ready = rows(next(rest))
        began_s = time.perf_counter()
        for first in range(0, len(ready), AT_ONCE):
            with transaction.atomic():
                SessionData.objects.bulk_create(ready[first : first + AT_ONCE])
        print(time.perf_counter() - began_s, flush=True)


def rows(documents: list[Document]) -> list[Any]:
    """`SessionData` as the consumer would store them."""
    from django.utils import timezone

    from server.common.parsing import parse_document
    from server.devices.models import Device
    from server.session_data.accept import Acceptance, Writer, read_many
    from server.session_data.models import SessionData

    devices = Device.objects.select_related("person").in_bulk(
        [each["device"] for each in documents]
    )
    by_id = {str(pk): device for pk, device in devices.items()}
    writers = [Writer(by_id[each["device"]].person, by_id[each["device"]]) for each in documents]
    parsed = [parse_document(each["body"].encode()) for each in documents]
    made = []
    for writer, entry in zip(
        writers, read_many(list(zip(writers, parsed, strict=True))), strict=True
    ):
        assert not isinstance(entry, Acceptance), entry
        owner = {"user": writer.person, "device": writer.device, "from_device": True}
        made.append(SessionData(id=entry.id, received_at=timezone.now(), **owner, **entry.columns))
    return made


if __name__ == "__main__":
    main()
