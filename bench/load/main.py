"""Capacity of one machine: documents per second over MQTT and HTTP, and reading meanwhile.

    python -m bench.load [--rounds N] [--documents N] [--sessions N] [--people N] [--json]

Reading: the same pages with tables of 10,000 and 1,000,000 sessions, in interleaved rounds.
Ingestion: a real Mosquitto, `blink-server consume` and `serve`, and devices that send as fast as
they get answers, compared with the same rows inserted in bulk (by Django's bulk_create, and as the
server inserts them) and the same messages through the broker only. Databases: SQLite and
PostgreSQL, both waiting for the disk at each commit.
"""

import argparse
import contextlib
import json
import os
import platform
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench.load.ingest import Ingest, ingest
from bench.load.pages import Pages, pages
from tests.broker import needs_mosquitto
from tests.postgres import Postgres, binaries

SMALL = 10_000
# What a page costs, in requests of the newest page of the history.
OVER_HISTORY = {
    "person_90_over_history": "person's page, 90 days",
    "live_over_history": "live part, unchanged",
    "people_100_over_history": "100 people's page",
}
DURABLE = ("max_connections=60",)
"""PostgreSQL as it comes: a commit has reached the disk."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Prints the tables, or one JSON object."""
    options = _options(arguments)
    if needs_mosquitto.args[0]:
        print("bench.load: Mosquitto is not installed", file=sys.stderr)
        return 2
    read: dict[str, Pages] = {}
    taken: dict[str, Ingest] = {}
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="blinklog-load-")))
        for engine in options.databases:
            if engine == "postgresql" and binaries() is None:
                print(
                    "!! PostgreSQL is not installed: measuring SQLite only",
                    file=sys.stderr,
                    flush=True,
                )
                continue
            place = folder / engine
            place.mkdir()
            if "reading" in options.parts:
                read[engine] = _reading(engine, place, options)
            if "taking-in" in options.parts:
                taken[engine] = _taking_in(engine, place, options)
    result = summary(read, taken)
    print(json.dumps(result, indent=2) if options.json else table(result))
    return 0


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.load", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="rounds after a warm-up round (5)")
    parser.add_argument("--documents", type=int, default=2000, help="documents per round (2000)")
    parser.add_argument(
        "--sessions", type=int, default=1_000_000, help="sessions in the long table"
    )
    parser.add_argument("--people", type=int, default=20, help="people in the long table (20)")
    parser.add_argument(
        "--bare", action="store_true", help="without documents in the long table: less disk"
    )
    parser.add_argument(
        "--api", action="store_true", help="time the API alone: pages take longer to draw"
    )
    parser.add_argument(
        "--by-month", action="store_true", help="partition PostgreSQL's long table by month"
    )
    parser.add_argument(
        "--parts", nargs="+", default=["reading", "taking-in"], choices=["reading", "taking-in"]
    )
    parser.add_argument(
        "--databases", nargs="+", default=["sqlite", "postgresql"], choices=["sqlite", "postgresql"]
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    return parser.parse_args(arguments)


def _reading(engine: str, place: Path, options: argparse.Namespace) -> Pages:
    with contextlib.ExitStack() as stack:
        environments = {}
        for sessions in (SMALL, options.sessions):
            data = place / str(sessions)
            data.mkdir()
            environments[sessions] = _environment(engine, data, stack)
        long_table = ["--people", str(options.people), *["--bare"] * options.bare]
        if engine == "postgresql" and options.by_month:
            long_table.append("--by-month")
        return pages(environments, options.rounds, ["--api"] * options.api, long_table)


def _taking_in(engine: str, place: Path, options: argparse.Namespace) -> Ingest:
    with contextlib.ExitStack() as stack:
        data = place / "ingest"
        data.mkdir()
        environment = _environment(engine, data, stack)
        return ingest(environment, data, options.rounds, options.documents)


def _environment(engine: str, data: Path, stack: contextlib.ExitStack) -> dict[str, str]:
    """Where the server finds its database: one of its own."""
    environment = {**os.environ, "BLINKLOG_DATA_DIR": str(data), "BLINKLOG_HTTPS": "0"}
    environment.pop("DATABASE_URL", None)
    # A few devices send what a thousand would.
    for name in ("DEVICE_MB_PER_DAY", "PERSON_MB_PER_DAY", "PERSON_MB"):
        environment[f"BLINKLOG_{name}"] = "0"
    if engine == "postgresql":
        cluster = Postgres(DURABLE)
        stack.callback(cluster.remove)
        cluster.start()
        environment["DATABASE_URL"] = cluster.url
    return environment


# Words


def summary(read: dict[str, Pages], taken: dict[str, Ingest]) -> dict[str, Any]:
    """The ratios that matter are the worst of all databases."""
    result: dict[str, Any] = {
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        "load": round(os.getloadavg()[0], 1),
    }
    if read:
        worst = [each.ratio("history") for each in read.values()]
        result["history_1m_over_10k"] = round(max(worst), 3)
        for key, name in OVER_HISTORY.items():
            if all(name in each.few[0] for each in read.values()):  # not with --api
                result[key] = round(max(each.over_history(name) for each in read.values()), 3)
        result["pages"] = {engine: each.as_json() for engine, each in read.items()}
    if taken:
        for how in ("mqtt", "http", "http_batch"):
            over = [each.per_s(how) / each.per_s("bulk") for each in taken.values()]
            result[f"{how}_over_bulk"] = round(min(over), 3)
        over = [each.per_s("mqtt") / each.per_s("insert") for each in taken.values()]
        result["mqtt_over_insert"] = round(min(over), 3)
        result["taking_in"] = {engine: each.as_json() for engine, each in taken.items()}
    return result


def table(result: dict[str, Any]) -> str:
    """As people read it."""
    lines = [f"{result['machine']}, load {result['load']}"]
    for engine, rows in result.get("pages", {}).items():
        few, many = rows["sessions"]
        lines += ["", f"{engine:27}{few:>12,}{many:>14,}   ratio  queries   blocks", "-" * 80]
        lines += [
            f"{name:27}{row['ms'][0]:9.1f} ms{row['ms'][1]:11.1f} ms{row['ratio']:8.2f}"
            f"{row['queries'][0]:6.0f}, {row['queries'][1]:.0f}"
            f"{row['blocks'][0]:7.0f}, {row['blocks'][1]:.0f}"
            for name, row in rows["pages"].items()
        ]
    for engine, row in result.get("taking_in", {}).items():
        lines += ["", f"{engine}: documents of {row['bytes'] / 1024:.1f} KB", "-" * 70]
        bulk = row["per_s"]["bulk"]
        lines += [
            f"{name:27}{per_s:9.0f} a second{per_s / bulk:8.2f} of bulk"
            for name, per_s in row["per_s"].items()
        ]
        idle, busy = row["history_ms"]["idle"], row["history_ms"]["under load"]
        lines.append(
            f"history: median {idle['median']:.1f} ms idle, {busy['median']:.1f} under MQTT's load;"
            f" 95th percentile {idle['p95']:.1f} and {busy['p95']:.1f}"
        )
    for name in (
        "history_1m_over_10k",
        *OVER_HISTORY,
        "mqtt_over_bulk",
        "mqtt_over_insert",
        "http_over_bulk",
        "http_batch_over_bulk",
    ):
        if name in result:
            lines += ["", f"{name} {result[name]:.2f}"]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
