"""What became of the records: one row for each side and fault, and the table."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple


class Entry(NamedTuple):
    """A line of the journal, or of what has arrived. `at_s`: monotonic clock, in seconds."""

    what: str
    record: str
    at_s: float
    content: str


def entries(lines: Iterable[str]) -> list[Entry]:
    """Read lines of the journal. Others, of fewer words, are left out."""
    words = (each.split() for each in lines)
    return [Entry(each[0], each[1], float(each[2]), each[3]) for each in words if len(each) == 4]


@dataclass(slots=True)
class Row:
    """What became of the records of one side.

    `kills` and `cuts`: how often processes were killed, or the power was cut. `records`: accepted
    by the storage. `lost`: never at the server. `again`: arrived after they had arrived before.
    `doubled`: of those, sent although the storage had recorded that the server had them. `wrong`:
    not as they were accepted, or never accepted. `could_not_open`: how often the storage could not
    be used any more. `lost_within_s`: the longest time for which a lost record had been accepted at
    the kill or the cut; None if none was lost.
    """

    side: str
    fault: str
    kills: int = 0
    cuts: int = 0
    records: int = 0
    arrived: int = 0
    lost: int = 0
    again: int = 0
    doubled: int = 0
    wrong: int = 0
    could_not_open: int = 0
    lost_within_s: float | None = None

    @property
    def clean(self) -> bool:
        """Whether what was promised holds. A record may arrive twice: a server ignores it."""
        return not (self.lost or self.doubled or self.wrong or self.could_not_open)

    def lose(self, ages_s: Iterable[float]) -> None:
        """Count lost records, by the times for which they had been accepted."""
        for age_s in ages_s:
            self.lost += 1
            self.lost_within_s = max(self.lost_within_s or 0.0, round(age_s, 2))

    def add(self, other: "Row") -> None:
        """Add the numbers of another row of the same side and fault."""
        for name in self.__slots__[2:-1]:
            setattr(self, name, getattr(self, name) + getattr(other, name))
        within_s = [each for each in (self.lost_within_s, other.lost_within_s) if each is not None]
        self.lost_within_s = max(within_s, default=None)


HEAD = "times  records in  arrived   lost  sent again  doubled  wrong  not opened"


def table(rows: Sequence[Row]) -> str:
    """Return the rows as text."""
    width = max(len(row.side) for row in rows)
    faults = max(len(row.fault) for row in rows)
    head = f"{'':{width}}  {'fault':{faults}}  {HEAD}"
    lines = [
        f"{row.side:{width}}  {row.fault:{faults}}  {row.kills + row.cuts:5}  {row.records:10}"
        f"  {row.arrived:7}  {row.lost:5}  {row.again:10}  {row.doubled:7}  {row.wrong:5}"
        f"  {row.could_not_open:10}{_within(row)}"
        for row in rows
    ]
    return "\n".join([head, "-" * len(head), *lines])


def _within(row: Row) -> str:
    if row.lost_within_s is None:
        return ""
    return f"  lost: accepted at most {row.lost_within_s:.2f} s before"
