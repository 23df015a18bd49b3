"""The timing used for every side of a benchmark: the same call for each, in plain Python.

Workers are processes with their own environments. Each loads the frames, reports that it is ready,
and then measures one round per line on its standard input. Rounds of all sides thus interleave, and
a noisy machine is noisy for all of them.
"""

import json
import sys
import time
from collections.abc import Callable
from typing import Any

Times = dict[str, list[float]]
"""`wall` and `cpu` of each call in milliseconds. CPU is of all the process's threads."""


PASS_S = 3.0
"""A pass takes less than half a second on a quiet machine; on a busy one, two threads that wait for
each other can take a hundred times as long."""


class Stopwatch:
    """Times calls by their name, for one round."""

    def __init__(self) -> None:
        self.times: dict[str, Times] = {}
        self.begin_pass()

    def begin_pass(self) -> None:
        """Another pass over the frames begins."""
        self._ends_s = time.perf_counter() + PASS_S

    @property
    def is_over(self) -> bool:
        """Whether the pass has taken long enough."""
        return time.perf_counter() > self._ends_s

    def call(self, name: str, function: Callable[..., Any], *arguments: Any) -> Any:
        """What `function` returns; its times go to `name`."""
        cpu_s, wall_s = time.process_time(), time.perf_counter()
        result = function(*arguments)
        wall_ms, cpu_ms = time.perf_counter() - wall_s, time.process_time() - cpu_s
        self.add(name, 1000 * wall_ms, 1000 * cpu_ms)
        return result

    def add(self, name: str, wall_ms: float, cpu_ms: float | None = None) -> None:
        """Times that were taken otherwise."""
        times = self.times.setdefault(name, {"wall": [], "cpu": []})
        times["wall"].append(wall_ms)
        if cpu_ms is not None:
            times["cpu"].append(cpu_ms)


def work(version: str, measure: Callable[[int, Stopwatch], None]) -> None:
    """The worker's side: answers each line of standard input with one round's times."""
    _say({"version": version})
    for number, _ in enumerate(sys.stdin):
        stopwatch = Stopwatch()
        measure(number, stopwatch)
        _say(stopwatch.times)


def _say(value: Any) -> None:
    print(json.dumps(value), flush=True)
