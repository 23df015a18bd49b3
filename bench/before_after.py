"""How often a note is followed by a "larger" difference: `python -m bench.before_after`.

Simulated people, as in `bench.usual`, who stay as they are: any "larger" is a false alarm. Then
people whose level rises after the note, by so many standard deviations of their own days.
"""

import random
from dataclasses import dataclass, field
from datetime import date, timedelta
from statistics import fmean, pstdev

from bench.usual import PEOPLE, SEED, Simulated
from server.notes.before_after import DAYS, compare, reach, windows
from server.session_data.summary.statistics import by_day

MARK = date(2026, 11, 1)
KEY = "inter_blink_interval_median_s"  # it has no narrowest range of its own
SIMULATED = 2_000
RISES = (0.0, 1.0, 2.0, 3.0, 4.0)


@dataclass(frozen=True)
class Session:
    """A session of ten minutes, one on each day."""

    day: date
    values: dict[str, float | None]
    state: str = "ended"
    date_uncertain: bool = field(default=False)


def share_larger(person: Simulated, days: int, rise: float, people: int = SIMULATED) -> float:
    """Return the share of notes after which the difference is called larger."""
    chance = random.Random(SEED)
    spread = pstdev(person(random.Random(SEED), 2000))
    return fmean(_is_larger(person, chance, days, rise * spread) for _ in range(people))


def _is_larger(person: Simulated, chance: random.Random, days: int, rise: float) -> bool:
    first, last = reach(MARK, days)
    values = person(chance, (last - first).days + 1)
    measured = [_session(first + timedelta(days=n), value, rise) for n, value in enumerate(values)]
    sides = windows(MARK, days, (), last)
    found = compare(by_day(measured, first, last), MARK, days, *sides)
    return next(each.larger for each in found if each.key == KEY) is True


def _session(day: date, value: float, rise: float) -> Session:
    return Session(day, {"valid_s": 600.0, KEY: value + (rise if day > MARK else 0)})


def main() -> None:
    """Print the table."""
    heads = (f"{n} d, +{rise:g} sd" for n in DAYS for rise in RISES)
    print("share called larger:", *heads, sep="\n  ")
    for person in PEOPLE:
        shares = (share_larger(person, n, rise) for n in DAYS for rise in RISES)
        print(f"{person.__name__.replace('_', ' '):16}", *(f"{share:6.1%}" for share in shares))


if __name__ == "__main__":
    main()
