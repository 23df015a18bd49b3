"""Kill the device's process and the server, and see what becomes of the records."""

import contextlib
import random
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from bench.gateway.rows import Entry, Row, entries
from bench.gateway.sides import Processes, Side
from tests.faults.launcher import until

UP_S = 1.5  # the longest that a process lives on once it has done something
DOWN_S = 0.5
BOUND_S = 400.0  # for one step; the longest delay of sync is 300 s
QUIET_S = 10.0  # with nothing unsent, nothing more arrives
VICTIMS = {
    "kill -9 of the device's process": ("device",),
    "kill -9 of the server": ("server",),
    "kill -9 of either": ("device", "server"),
}


def killed(side: Side, fault: str, kills: int, seed: int) -> Row:
    """Kill so often, and compare in the end."""
    chance = random.Random(seed)
    row = Row(side.name, fault, kills=kills)
    with _running(side) as processes:
        killed_s = []
        for _ in range(kills):
            name = chance.choice(VICTIMS[fault])
            row.could_not_open += not _kill_one(processes, name, chance)
            killed_s += [time.monotonic()] if name == "device" else []
        _settle(processes)
        _compare(row, _entries(processes, "journal"), _entries(processes, "arrived"), killed_s)
    return row


@contextlib.contextmanager
def _running(side: Side) -> Iterator[Processes]:
    with tempfile.TemporaryDirectory(prefix="blinklog-gateway-") as folder:
        processes = Processes(side, Path(folder), Path(folder))
        try:
            processes.start("server")
            processes.start("device")
            yield processes
        finally:
            processes.close()


def _kill_one(processes: Processes, name: str, chance: random.Random) -> bool:
    """Kill it a random time after a record was accepted or has arrived since its start.

    Return whether it was still there to be killed.
    """
    file = "journal" if name == "device" else "arrived"
    before = len(processes.lines(file))
    until(lambda: len(processes.lines(file)) > before, f"the {name} does something", BOUND_S)
    time.sleep(chance.uniform(0, UP_S))
    there = processes.kill(name)
    time.sleep(chance.uniform(0, DOWN_S))
    processes.start(name)
    return there


def _settle(processes: Processes) -> None:
    """Make no more records, and wait until all have arrived or nothing is unsent for a while."""
    processes.stop_making()
    busy_s = time.monotonic()

    def settled() -> bool:
        nonlocal busy_s
        if not processes.idle():
            busy_s = time.monotonic()
        accepted = {each.record for each in _entries(processes, "journal")}
        arrived = {each.record for each in _entries(processes, "arrived")}
        return not accepted - arrived or time.monotonic() - busy_s > QUIET_S

    until(settled, "nothing is unsent", BOUND_S, every_s=0.2)


def _entries(processes: Processes, name: str) -> list[Entry]:
    return entries(processes.lines(name))


def _compare(
    row: Row, journal: Sequence[Entry], arrivals: Sequence[Entry], killed_s: Sequence[float]
) -> None:
    accepted = {each.record: each for each in journal if each.what == "accepted"}
    delivered = {each.record: each.at_s for each in reversed(journal) if each.what == "delivered"}
    arrived = {each.record for each in arrivals}
    lost = [each.at_s for record, each in accepted.items() if record not in arrived]
    row.records = len(accepted)
    row.arrived = len(accepted) - len(lost)
    row.again = len(arrivals) - len(arrived)
    row.doubled = sum(each.at_s > delivered.get(each.record, each.at_s) for each in arrivals)
    row.wrong = sum(
        each.content != accepted[each.record].content
        for each in arrivals
        if each.record in accepted  # else it was killed between accepting it and writing so
    )
    row.lose(min((kill - at for kill in killed_s if kill >= at), default=0.0) for at in lost)
