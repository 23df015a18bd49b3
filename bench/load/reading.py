"""Fills a database with a number of sessions and times how long reading a person's history takes.

A worker of bench.load, with its own process for each database, timed in interleaved rounds
(bench.speed.stopwatch). It calls the views in process, to compare the database and the code that
reads it.
"""

import os
import sys
from datetime import timedelta

from bench.speed.stopwatch import Stopwatch, work

SAMPLES = 10


def main() -> None:
    """`python -m bench.load.reading SESSIONS`, with the database in the environment."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "server.config.settings")
    os.environ["BLINKLOG_STATEMENT_TIMEOUT_S"] = "0"
    import django

    django.setup()
    from django.core.management import call_command
    from django.db import connection
    from django.test import Client
    from django.test.utils import CaptureQueriesContext
    from django.utils import timezone

    from bench.load.rows import fill

    call_command("migrate", verbosity=0)
    client = Client(headers={"host": "localhost"})
    client.force_login(fill(int(sys.argv[1])))
    year_ago = (timezone.now() - timedelta(days=100)).date()
    pages = {
        "history": "/api/session/history/?user=person-0",
        "history, 100 days back": f"/api/session/history/?user=person-0&to={year_ago}",
        "history, one state": "/api/session/history/?user=person-0&state=ended",
        "summary": "/api/session/summary/?user=person-0",
        "people's page": "/",
        "person's page, 7 days": "/people/person-0/?days=7",
        "person's page, 90 days": "/people/person-0/?days=90",
    }

    def read(name: str) -> None:
        answer = client.get(pages[name])
        assert answer.status_code == 200, f"{pages[name]}: {answer.status_code}"

    def measure(_number: int, stopwatch: Stopwatch) -> None:
        for name in pages:
            with CaptureQueriesContext(connection) as queries:
                read(name)
            stopwatch.add(f"{name}: queries", float(len(queries)))
            for _ in range(SAMPLES):
                stopwatch.call(name, read, name)

    work(connection.vendor, measure)


if __name__ == "__main__":
    main()
