"""What each part of the product brings: how it is driven, and what must be left after a cut."""

import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Protocol, runtime_checkable

from bench.powercuts.disk import Disk
from bench.powercuts.log import Mark, Names, Resize, Write
from bench.powercuts.recording import Marker, record, scratch_folder

SHOWN = 5  # failures that are described


@dataclass(slots=True)
class Tally:
    """The cuts, and what was found after them.

    `sessions`: what had been promised before each cut, added up: sessions, and for files
    enrolments and upgrades. `lost`: promised, but not there or older. `doubled`: would be sent or
    obeyed again although that had been recorded as done. `wrong`: there, but not as it was written.
    `could_not_open`: the program could not begin, or had to rescue what it found.
    """

    cuts: int = 0
    sessions: int = 0
    lost: int = 0
    doubled: int = 0
    wrong: int = 0
    could_not_open: int = 0
    failures: list[str] = field(default_factory=list)

    @property
    def count(self) -> int:
        """How many failures there are, of every kind."""
        return self.lost + self.doubled + self.wrong + self.could_not_open

    @property
    def clean(self) -> bool:
        return not self.count

    def fail(self, kind: str, why: str) -> None:
        """Count a failure of this kind, a field's name."""
        setattr(self, kind, getattr(self, kind) + 1)
        if len(self.failures) < SHOWN:
            self.failures.append(f"{kind}: {why}")

    def add(self, other: "Tally") -> None:
        for name in ("cuts", "sessions", "lost", "doubled", "wrong", "could_not_open"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.failures = (self.failures + other.failures)[:SHOWN]


class Part(Protocol):
    """One run of a part of the product."""

    def prepare(self, folder: Path) -> None:
        """Make what is on the disk before."""

    def drive(self, folder: Path, mark: Marker) -> None:
        """Use the product in the folder; mark what begins and what is done."""

    def check(self, folder: Path, marks: Sequence[str], tally: Tally) -> None:
        """Open what a cut after these marks left, compare, and go on with it."""


@runtime_checkable
class Resumable(Part, Protocol):
    """A part that can also be driven on what a cut left."""

    def resumed(self, left: Path, chance: Random) -> Part:
        """Return the part that goes on from `left`, which is as the last check found it."""


def run(make: Callable[[Random], Part], cuts: int, per_recording: int, seed: str) -> Tally:
    """Record a part again and again, and cut each recording; return what was found.

    Every other recording of a resumable part begins with what the last cut before left.
    """
    tally, number = Tally(), 0
    part: Part | None = None
    with tempfile.TemporaryDirectory(prefix="blinklog-cuts-", dir=scratch_folder()) as scratch:
        while tally.cuts < cuts:
            chance = Random(f"{seed} {number}")
            folder = Path(scratch) / str(number)
            folder.mkdir()
            resumed = part is not None
            part = part or make(chance)
            _cut(part, folder, min(per_recording, cuts - tally.cuts), chance, tally)
            again = isinstance(part, Resumable) and not resumed
            part = part.resumed(folder / LEFT, chance) if again else None
            number += 1
    return tally


def _cut(part: Part, folder: Path, cuts: int, chance: Random, tally: Tally) -> None:
    content, opened = folder / "content", folder / "opened"
    content.mkdir()
    part.prepare(content)
    log = record(part.drive, content)
    first = next(at for at, change in enumerate(log) if isinstance(change, Mark))
    steps = [at for at, each in enumerate(log[first:], first + 1) if isinstance(each, CUT_AFTER)]
    disk = Disk(log)
    for position in sorted(chance.choices(steps, k=cuts)):
        disk.at(position)
        state = chance.getrandbits(64)
        _leave(disk, opened, state)
        tally.cuts += 1
        part.check(opened, disk.marks, tally)
    shutil.rmtree(opened)
    shutil.rmtree(content)
    _leave(disk, folder / LEFT, state)


def _leave(disk: Disk, folder: Path, state: int) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    disk.write_to(folder, Random(state))


LEFT = "left"
CUT_AFTER = (Names, Write, Resize, Mark)
"""The changes to cut after. What an fsync keeps is tested at the next of them: a mark, mostly."""
