"""Fills a database with a number of sessions and times how long reading a person's history takes.

A worker of bench.load, with its own process for each database, timed in interleaved rounds
(bench.speed.stopwatch). It calls the views in process, to compare the database and the code that
reads it.
"""

import argparse
import os
from datetime import timedelta

from bench.speed.stopwatch import Stopwatch, work

SAMPLES = 10


def main() -> None:
    """`python -m bench.load.reading SESSIONS`, with the database in the environment."""
    parser = argparse.ArgumentParser()
    parser.add_argument("sessions", type=int)
    parser.add_argument("--people", type=int, default=20)
    parser.add_argument("--bare", action="store_true")
    parser.add_argument("--by-month", action="store_true")
    parser.add_argument("--api", action="store_true")
    options = parser.parse_args()
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "server.config.settings")
    os.environ["BLINKLOG_STATEMENT_TIMEOUT_S"] = "0"
    import django

    django.setup()
    from django.core.management import call_command
    from django.db import connection
    from django.test import Client
    from django.test.utils import CaptureQueriesContext
    from django.utils import timezone

    from bench.load.by_month import split
    from bench.load.rows import fill, span, under_way, ward
    from server.care.models import Person
    from server.session_data.models import SessionData

    call_command("migrate", verbosity=0)
    if options.by_month:
        split(*span(options.sessions, options.people))
    client = Client(headers={"host": "localhost"})
    client.force_login(fill(options.sessions, options.people, bare=options.bare))
    head = Client(headers={"host": "localhost"})
    running, unchanged = "", {}
    if not options.api:
        head.force_login(ward())
        running = f"/sessions/{under_way(Person.objects.get(username='person-0'))}/live/"
        version = client.get(running).content.partition(b'data-version="')[2].partition(b'"')[0]
        unchanged = {"If-None-Match": f'"{version.decode()}"'}
    year_ago = (timezone.now() - timedelta(days=100)).date()
    pages = {
        "history": "/api/session/history/?user=person-0",
        "history, 100 days back": f"/api/session/history/?user=person-0&to={year_ago}",
        "history, one state": "/api/session/history/?user=person-0&state=ended",
        "summary": "/api/session/summary/?user=person-0",
        "people's page": "/",
        "person's page, 7 days": "/people/person-0/?days=7",
        "person's page, 90 days": "/people/person-0/?days=90",
        "100 people's page": "/",
        "live part": running,
        "live part, unchanged": running,
    }

    if options.api:
        pages = {name: path for name, path in pages.items() if path.startswith("/api/")}

    def read(name: str) -> None:
        who = head if name.startswith("100") else client
        wanted, headers = (304, unchanged) if name.endswith("unchanged") else (200, {})
        answer = who.get(pages[name], headers=headers)
        assert answer.status_code == wanted, f"{pages[name]}: {answer.status_code}"

    def measure(_number: int, stopwatch: Stopwatch) -> None:
        for name in pages:
            # A session that goes on is heard of every few seconds.
            SessionData.objects.filter(state="active").update(updated_at=timezone.now())
            with CaptureQueriesContext(connection) as queries:
                read(name)
            stopwatch.add(f"{name}: queries", float(len(queries)))
            stopwatch.add(f"{name}: blocks", float(blocks(queries.captured_queries)))
            for _ in range(SAMPLES):
                stopwatch.call(name, read, name)

    work(connection.vendor, measure)


def blocks(queries: list[dict[str, str]]) -> int:
    """How many blocks of 8 KB PostgreSQL reads for these queries, from memory or disk.

    Unlike time, that does not depend on what else the machine does. 0 for SQLite.
    """
    from django.db import connection

    if connection.vendor != "postgresql":
        return 0
    found = 0
    with connection.cursor() as cursor:
        for query in queries:
            if query["sql"].startswith("SELECT"):
                cursor.execute(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {query['sql']}")
                plan = cursor.fetchone()[0][0]["Plan"]
                found += plan["Shared Hit Blocks"] + plan["Shared Read Blocks"]
    return found


if __name__ == "__main__":
    main()
