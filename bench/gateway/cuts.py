"""Cut the power for each side as `bench.powercuts` does, and see what is left of the records.

The processes are those that are killed elsewhere, but their storage is on a file system that
records every change and every fsync. They run for `RUN_S` seconds: a shorter time than that for
which Linux may keep what was written in memory (30 s by default).
"""

import contextlib
import json
import os
import random
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from bench.environments import ROOT
from bench.gateway.rows import Entry, Row, entries
from bench.gateway.sides import Processes, Side
from bench.powercuts.disk import Disk
from bench.powercuts.log import MARKS, Mark
from bench.powercuts.part import CUT_AFTER
from bench.powercuts.recording import record, scratch_folder
from tests.faults.launcher import until

FAULTS = {
    "power cut of the device": False,
    "power cut, the server was away": True,
}
"""With whether the server comes only at the end of a recording."""

RUN_S = 5.0
BOUND_S = 120.0  # until all is delivered
PER_RECORDING = 25
OPEN_S = 60.0  # for one storage, beside much other work

Left = dict[str, Any]
"""What a storage would send, with checksums, in `waiting`; and whether it `goes_on`."""


@dataclass(frozen=True, slots=True)
class Task:
    """One recording, and how often it is cut."""

    side: Side
    fault: str
    cuts: int
    seed: str


def cut(sides: Sequence[Side], cuts: int, seed: int) -> list[Row]:
    """Cut the power so often for each fault and side, on all processors; return a row for each."""
    tasks = [
        Task(side, fault, min(PER_RECORDING, cuts - before), f"{seed} {fault} {before}")
        for before in range(0, cuts, PER_RECORDING)
        for fault in FAULTS
        for side in sides
    ]
    rows = {(fault, side.name): Row(side.name, fault) for fault in FAULTS for side in sides}
    context = get_context("fork")
    with ProcessPoolExecutor(os.cpu_count() or 1, mp_context=context) as pool:
        for row in pool.map(recorded_and_cut, tasks):
            rows[row.fault, row.side].add(row)
    return list(rows.values())


def recorded_and_cut(task: Task) -> Row:
    """Return what was found after the cuts of one recording."""
    random.seed()  # after a fork: no two processes may choose the same free ports
    chance = random.Random(task.seed)
    row = Row(task.side.name, task.fault)
    with tempfile.TemporaryDirectory(prefix="blinklog-cuts-", dir=scratch_folder()) as scratch:
        content, opened = Path(scratch) / "content", Path(scratch) / "opened"
        content.mkdir()
        _prepare(task.side, content)
        log = record(lambda data, _: _drive(task, data), content)
        shutil.rmtree(content)
        ever = {
            each.record: each.content
            for each in entries(each.text for each in log if isinstance(each, Mark))
            if each.what == "accepted"
        }
        folders, marks = _cut(log, opened, task.cuts, chance)
        for before, left in zip(marks, _read(task.side, folders), strict=True):
            _compare(row, entries(before), left, ever)
    return row


def _prepare(side: Side, data: Path) -> None:
    """Have a storage on the disk that is empty, but complete."""
    with _processes(side, data) as processes:
        processes.stop_making()
        processes.start("device")
        until(processes.idle, "the storage is there", BOUND_S)


def _drive(task: Task, data: Path) -> None:
    """Make records for `RUN_S` seconds, and deliver them all."""
    away = FAULTS[task.fault]
    with _processes(task.side, data) as processes:
        if not away:
            processes.start("server")
        processes.start("device")
        until(processes.begun, "the device has begun", BOUND_S)
        time.sleep(RUN_S)
        processes.stop_making()
        if away:
            processes.start("server")
        until(processes.idle, "everything is delivered", BOUND_S, every_s=0.2)


@contextlib.contextmanager
def _processes(side: Side, data: Path) -> Iterator[Processes]:
    """On the recording file system the journal, and what arrives, are marks of the log."""
    with tempfile.TemporaryDirectory(prefix="blinklog-gateway-") as folder:
        if (data / MARKS).exists():
            for name in ("journal", "arrived"):
                (Path(folder) / name).symlink_to(data / MARKS)
        processes = Processes(side, Path(folder), data)
        try:
            yield processes
        finally:
            processes.close()


def _cut(
    log: Sequence[Any], opened: Path, cuts: int, chance: random.Random
) -> tuple[list[Path], list[list[str]]]:
    """Make a folder for each cut; return them, and the marks before each."""
    first = next(at for at, change in enumerate(log) if isinstance(change, Mark))
    steps = [at for at, each in enumerate(log[first:], first + 1) if isinstance(each, CUT_AFTER)]
    disk, folders, marks = Disk(log), [], []
    for position in sorted(chance.choices(steps, k=cuts)):
        disk.at(position)
        folder = opened / str(len(folders))
        folder.mkdir(parents=True)
        disk.write_to(folder, random.Random(chance.getrandbits(64)))
        folders.append(folder)
        marks.append(disk.marks.copy())
    return folders, marks


def _read(side: Side, folders: Sequence[Path]) -> list[Left | None]:
    """Return what is left in each folder; None where the storage can't be opened."""
    left: list[Left | None] = []
    while waiting := folders[len(left) :]:
        command = [*side.command, "read", *map(str, waiting)]
        try:
            done = subprocess.run(
                command, cwd=ROOT, capture_output=True, timeout=OPEN_S * len(waiting), check=False
            )
            said = done.stdout
        except subprocess.TimeoutExpired as error:
            said = error.stdout or b""
        left += [json.loads(each) for each in said.splitlines()]
        if len(left) < len(folders):  # it ended at the next one
            left.append(None)
    return left


def _compare(row: Row, before: Sequence[Entry], left: Left | None, ever: dict[str, str]) -> None:
    """Compare one cut. `ever`: all that was accepted in the whole recording, with checksums."""
    now_s = before[-1].at_s
    at_s = {each.record: each.at_s for each in before if each.what == "accepted"}
    arrived = {each.record for each in before if each.what == "arrived"}
    delivered = {each.record for each in before if each.what == "delivered"}
    waiting = {} if left is None else left["waiting"]
    lost = at_s.keys() - arrived - waiting.keys()
    row.cuts += 1
    row.records += len(at_s)
    row.arrived += len(at_s) - len(lost)
    row.lose(now_s - at_s[each] for each in lost)
    row.again += len(waiting.keys() & arrived)
    row.doubled += len(waiting.keys() & delivered)
    row.wrong += sum(ever.get(each) != content for each, content in waiting.items())
    row.could_not_open += left is None or not left["goes_on"]
