"""How reading time grows with the table: runs bench.load.reading's workers and reports times."""

import json
import statistics
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bench.environments import ROOT
from bench.speed.stopwatch import Times


@dataclass(frozen=True, slots=True)
class Pages:
    """Rounds of two tables: `few` and `many` sessions."""

    sessions: tuple[int, int]
    few: list[dict[str, Times]]
    many: list[dict[str, Times]]

    def ratio(self, name: str) -> float:
        """Of the long table's time to the short one's: the median of the rounds' ratios, as the
        two halves of a round share whatever else the machine does."""
        pairs = zip(self.few, self.many, strict=True)
        return statistics.median(_ms(many[name]) / _ms(few[name]) for few, many in pairs)

    def over_history(self, name: str) -> float:
        """Of a page's time to that of the newest page of the history, in the short table: the
        median of the rounds' ratios."""
        return statistics.median(_ms(few[name]) / _ms(few["history"]) for few in self.few)

    def as_json(self) -> dict[str, Any]:
        """For the table, and for a program to read."""
        names = [name for name in self.few[0] if ": " not in name]
        return {"sessions": self.sessions, "pages": {name: self._row(name) for name in names}}

    def _row(self, name: str) -> dict[str, Any]:
        sides = (self.few, self.many)
        return {
            "ms": [round(statistics.median(_ms(r[name]) for r in side), 3) for side in sides],
            "ratio": round(self.ratio(name), 3),
            "queries": [side[-1][f"{name}: queries"]["wall"][0] for side in sides],
            "blocks": [side[-1][f"{name}: blocks"]["wall"][0] for side in sides],
        }


def _ms(times: Times) -> float:
    return statistics.median(times["wall"])


def pages(
    environments: Mapping[int, Mapping[str, str]],
    rounds: int,
    options: Sequence[str] = (),
    long_table: Sequence[str] = (),
) -> Pages:
    """One worker for each table, asked in turn. The first round warms up.

    `options` of bench.load.reading are for both tables, `long_table` for the last one.
    """
    last = max(environments)
    workers = [
        _worker(sessions, env, [*options, *(long_table if sessions == last else ())])
        for sessions, env in environments.items()
    ]
    try:
        for worker in workers:
            _line(worker)
        taken = [[_round(worker) for worker in workers] for _ in range(rounds + 1)][1:]
    finally:
        for worker in workers:
            worker.kill()
            worker.communicate()
    few, many = (list(side) for side in zip(*taken, strict=True))
    return Pages(tuple(environments), few, many)  # type: ignore[arg-type]


def _worker(
    sessions: int, environment: Mapping[str, str], options: Sequence[str]
) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", "bench.load.reading", str(sessions), *options],
        cwd=ROOT,
        env=dict(environment),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def _round(worker: "subprocess.Popen[str]") -> dict[str, Times]:
    assert worker.stdin is not None
    worker.stdin.write("round\n")
    worker.stdin.flush()
    return dict(json.loads(_line(worker)))


def _line(worker: "subprocess.Popen[str]") -> str:
    assert worker.stdout is not None
    if line := worker.stdout.readline():
        return line
    raise RuntimeError("bench.load.reading ended early: see its output above")
