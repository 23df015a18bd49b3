"""Fault injection: make everything that can fail do so, repeatedly, and check the history.

    python -m bench.faults [--rounds N] [--backlog N] [--json]

A whole installation on this machine: broker, server, consumer, the device's watch and sync, with
proxies as the network. While sessions are made, N rounds of faults are distributed over all kinds,
at least one of each. After each kind everything runs again; once the device has nothing left to
send, its store and the history are compared (`tests.faults.harness.Tally`).
"""

import argparse
import json
import random
import statistics
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tests.broker import needs_mosquitto
from tests.faults.attacks import Attack, attacks
from tests.faults.harness import Site, Tally
from tests.faults.launcher import until
from tests.faults.load import Drained, drain, start_to_history_s

WEIGHTS = {"kill -9 of a random": 4.0, "kill -9": 2.0, "network": 0.5, "HTTP": 0.5}  # else 1
SETTLE_S = 400.0  # the longest delay between two tries is 300 s
BACKLOG_S = 1800.0
STARTS = 20


@dataclass(frozen=True, slots=True)
class Row:
    """One kind of fault, how often it was done, and what came of it.

    `settle_s`: seconds from the end of the last fault until everything was delivered.
    """

    fault: str
    rounds: int
    tally: Tally
    settle_s: float

    def as_json(self) -> dict[str, Any]:
        """For a program to read."""
        row = {"fault": self.fault, "rounds": self.rounds, **asdict(self.tally)}
        return {**row, "settle_s": round(self.settle_s, 2)}


def main(arguments: Sequence[str] | None = None) -> int:
    """Does it all; 0 if every session is there, once and right."""
    options = _options(arguments)
    if needs_mosquitto.args[0]:
        print("bench.faults: Mosquitto is not installed", file=sys.stderr)
        return 2
    chance = random.Random(options.seed)
    with tempfile.TemporaryDirectory(prefix="blinklog-faults-") as folder:
        with Site(Path(folder) / "site") as site:
            rows = [_row(site, *dealt, chance) for dealt in _deal(attacks(), options.rounds)]
            starts = _starts(site)
        drained = []
        for way in ("mqtt", "http") if options.backlog else ():
            with Site(Path(folder) / way, ways=(way,)) as site:
                say(f"backlog of {options.backlog} sessions over {way}")
                drained.append((way, drain(site, options.backlog, BACKLOG_S), site.tally()))
    total = _total([row.tally for row in rows] + [tally for *_, tally in drained])
    print(_json(rows, drained, starts, total) if options.json else _table(rows, total))
    if not options.json:
        print(_more(drained, starts))
    return 0 if total.clean else 1


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m bench.faults",
        description=(__doc__ or "").partition("\n")[0],
    )
    parser.add_argument(
        "--rounds", type=int, default=300, metavar="N", help="number of faults (300)"
    )
    parser.add_argument(
        "--backlog",
        type=int,
        default=1000,
        metavar="N",
        help="then deliver N unsent sessions (1000)",
    )
    parser.add_argument("--seed", type=int, default=1, help="random seed; timing still varies (1)")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    return parser.parse_args(arguments)


def say(text: str) -> None:
    """How far it is, where it disturbs no output."""
    print(text, file=sys.stderr, flush=True)


def _deal(kinds: Sequence[Attack], rounds: int) -> list[tuple[Attack, int]]:
    weights = [
        next((weight for name, weight in WEIGHTS.items() if kind.name.startswith(name)), 1.0)
        for kind in kinds
    ]
    share = rounds / sum(weights)
    return [
        (kind, max(1, round(share * weight))) for kind, weight in zip(kinds, weights, strict=True)
    ]


def _row(site: Site, attack: Attack, rounds: int, chance: random.Random) -> Row:
    say(f"{rounds:4} x {attack.name}")
    for _ in range(rounds):
        site.start()
        attack.round(site, chance)
    site.feed(1)
    settle_s = site.settle(SETTLE_S, restart=False)
    return Row(attack.name, rounds, site.tally(), settle_s)


def _starts(site: Site) -> list[float]:
    """Seconds from a start in the store to the history, with nothing wrong."""
    say("starts without a fault")
    site.settle(SETTLE_S)
    site.feed(1)
    until(site.all_delivered, "sync is connected", SETTLE_S)
    return [start_to_history_s(site) for _ in range(STARTS)]


def _total(tallies: Sequence[Tally]) -> Tally:
    return Tally(*(sum(column) for column in zip(*map(_numbers, tallies), strict=True)))


def _numbers(tally: Tally) -> tuple[int, ...]:
    return tuple(asdict(tally).values())


# Words

Backlogs = list[tuple[str, Drained, Tally]]


def _json(rows: Sequence[Row], drained: Backlogs, starts: Sequence[float], total: Tally) -> str:
    report = {
        **asdict(total),
        "rounds": sum(row.rounds for row in rows),
        "faults": [row.as_json() for row in rows],
        "start_to_history_s": {
            "median": round(statistics.median(starts), 3),
            "longest": round(max(starts), 3),
        },
        "backlog": [{"way": way, **asdict(each), **asdict(tally)} for way, each, tally in drained],
    }
    return json.dumps(report, indent=2)


def _table(rows: Sequence[Row], total: Tally) -> str:
    width = max(len(row.fault) for row in rows)
    head = f"{'fault':{width}}  rounds  sessions  history  lost  doubled  wrong  settled"
    lines = [
        _line(row.fault, width, row.rounds, row.tally) + f"{row.settle_s:7.1f} s" for row in rows
    ]
    everything = _line("everything", width, sum(row.rounds for row in rows), total)
    return "\n".join([head, "-" * len(head), *lines, "-" * len(head), everything])


def _line(name: str, width: int, rounds: int, tally: Tally) -> str:
    numbers = f"{tally.sessions:8}  {tally.delivered:7}  {tally.lost:4}  {tally.doubled:7}"
    return f"{name:{width}}  {rounds:6}  {numbers}  {tally.wrong:5}"


def _more(drained: Backlogs, starts: Sequence[float]) -> str:
    median, longest = statistics.median(starts), max(starts)
    lines = [f"\na start is in the history after {median:.2f} s (median), {longest:.2f} s at most"]
    for way, each, tally in drained:
        lines.append(
            f"backlog over {way}: {tally.delivered} of {each.sessions} sessions in"
            f" {each.seconds:.0f} s; sync {each.sync_mb[0]:.0f} MB, at most {each.sync_mb[1]:.0f};"
            f" consumer {each.consumer_mb[0]:.0f} MB, at most {each.consumer_mb[1]:.0f}"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
