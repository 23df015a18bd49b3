"""Power cuts that lose, tear and reorder what was not fsynced, and what is left of each part.

    python -m bench.powercuts [--cuts N] [--seed S] [--json]

Each part of the product is driven on a file system that records every change and every fsync. The
recording is cut at random changes. For each cut, a folder is made with what the disk may hold then
(`bench.powercuts.disk` says what that is); the product starts there, is compared with what it had
promised, and goes on. Needs root, for FUSE.
"""

import argparse
import json
import logging
import os
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from multiprocessing import get_context
from random import Random
from typing import Any

from bench.powercuts.part import Part, Tally, run
from bench.powercuts.recording import unavailable
from bench.powercuts.with_damage import DamagedStore
from bench.powercuts.with_device_store import DeviceStore
from bench.powercuts.with_enrolment import Enrolment
from bench.powercuts.with_installer import Installer
from bench.powercuts.with_server import Server, set_up
from bench.powercuts.with_upgrade import Upgrade


@dataclass(frozen=True, slots=True)
class Kind:
    """A part: its name in the table, its share of the cuts, and how often a recording is cut."""

    name: str
    make: Callable[[Random], Part]
    share: float
    per_recording: int


KINDS = (
    Kind("the device's store in use", DeviceStore, 0.40, 50),
    Kind("the rescue of a damaged store", DamagedStore, 0.16, 25),
    Kind("the upgrade of the store's schema", Upgrade, 0.08, 25),
    Kind("the files of an enrolment", Enrolment, 0.12, 25),
    Kind("the installer's switch of releases", Installer, 0.08, 100),
    Kind("the server's SQLite", Server, 0.16, 50),
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Make the cuts; 0 if nothing was lost, doubled or wrong and everything could be opened."""
    options = _options(arguments)
    if why := unavailable():
        print(f"bench.powercuts: {why}", file=sys.stderr)
        return 2
    began_s = time.monotonic()
    rows = powercuts(options.cuts, options.seed)
    total = Tally()
    for tally in rows.values():
        total.add(tally)
    seconds = time.monotonic() - began_s
    print(_json(rows, total, seconds) if options.json else _table(rows, total, seconds))
    for failure in total.failures:
        print(f"bench.powercuts: {failure}", file=sys.stderr)
    return 0 if total.clean else 1


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m bench.powercuts", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("--cuts", type=int, default=5000, metavar="N", help="how many (5000)")
    parser.add_argument("--seed", type=int, default=1, metavar="S", help="random seed (1)")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    return parser.parse_args(arguments)


def powercuts(cuts: int, seed: int) -> dict[str, Tally]:
    """Return what was found for each kind, on all processors."""
    set_up()  # here, because this process deletes its folder at its end
    workers = os.cpu_count() or 1
    tasks = [
        (kind, share, f"{seed} {kind.name} {worker}")
        for kind, number in zip(KINDS, _dealt(cuts), strict=True)
        for worker, share in enumerate(_split(number, workers))
        if share
    ]
    tallies = {kind.name: Tally() for kind in KINDS}
    with ProcessPoolExecutor(workers, mp_context=get_context("fork")) as pool:
        for (kind, *_), tally in zip(tasks, pool.map(_run, tasks), strict=True):
            tallies[kind.name].add(tally)
    return tallies


def _dealt(cuts: int) -> list[int]:
    numbers = [round(cuts * kind.share) for kind in KINDS]
    return [cuts - sum(numbers[1:]), *numbers[1:]]


def _split(number: int, workers: int) -> list[int]:
    return [(number + worker) // workers for worker in range(workers)]


def _run(task: tuple[Kind, int, str]) -> Tally:
    logging.disable(logging.CRITICAL)  # the product reports each damage, and each start
    kind, cuts, seed = task
    return run(kind.make, cuts, kind.per_recording, seed)


# Words


def _json(rows: dict[str, Tally], total: Tally, seconds: float) -> str:
    parts = {name: _numbers(tally) for name, tally in rows.items()}
    report = {**_numbers(total), "seconds": round(seconds, 1), "failures": total.failures}
    return json.dumps({**report, "parts": parts}, indent=2)


def _numbers(tally: Tally) -> dict[str, Any]:
    return {name: value for name, value in asdict(tally).items() if name != "failures"}


def _table(rows: dict[str, Tally], total: Tally, seconds: float) -> str:
    width = max(len(name) for name in rows)
    head = f"{'interrupted operation':{width}}  cuts  sessions  lost  doubled  wrong  not opened"
    lines = [_line(name, width, tally) for name, tally in rows.items()]
    rate = f"{total.cuts / seconds:.0f} cuts per second"
    rule = "-" * len(head)
    return "\n".join([head, rule, *lines, rule, _line("everything", width, total), rate])


def _line(name: str, width: int, tally: Tally) -> str:
    numbers = f"{tally.cuts:4}  {tally.sessions:8}  {tally.lost:4}  {tally.doubled:7}"
    return f"{name:{width}}  {numbers}  {tally.wrong:5}  {tally.could_not_open:10}"
