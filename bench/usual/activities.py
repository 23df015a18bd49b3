"""People who do different things on different days: does comparing like with like help?

Reading halves their blink rate. Each day has one session, of reading or of something else. A usual
day that is called unusual is a false alarm; a day that is a third lower than usual should be found.
The pages' own function compares the days.
"""

import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta

from server.session_data.summary.alike import Compared, like_with_like
from server.session_data.summary.statistics import value_of
from server.session_data.summary.usual import USUAL_DAYS, usual, usual_of

RATE = "blink_rate_per_min"
TODAY = date(2026, 11, 30)
PEOPLE = 2_000
SEED = 7
LOWER = 2 / 3
DAYS = (3, 4, 5, 6, 7, 10, 14, 28)
MINIMA = (3, 4, 5, 6, 7, 10, 14)
SHARES = (0.1, 0.25, 0.5, 0.75, 0.9)


@dataclass(frozen=True, slots=True)
class Session:
    """A session, as far as a summary needs it."""

    day: date
    activity: str
    values: Mapping[str, float | None]
    state: str = "ended"
    date_uncertain: bool = False


@dataclass(frozen=True, slots=True)
class Tally:
    """Days asked about, those called unusual, and those found if they are a third lower."""

    days: int = 0
    unusual: int = 0
    found: int = 0

    def share(self, count: int) -> str:
        """Format a share of the days."""
        return f"{count / self.days:6.1%}" if self.days else "     -"


def rate(chance: random.Random, activity: str) -> float:
    """Return a usual day's blink rate: half of the others' when reading."""
    return chance.gauss(15, 2) * (0.5 if activity == "reading" else 1)


def person(chance: random.Random, share: float, today: str) -> list[Session]:
    """Return four weeks and today of somebody who reads on this share of days."""
    days = [TODAY - timedelta(days=n) for n in range(USUAL_DAYS, -1, -1)]
    kinds = ["reading" if chance.random() < share else "talking" for _ in days[1:]] + [today]
    return [
        Session(when, kind, {RATE: rate(chance, kind), "valid_s": 300.0})
        for when, kind in zip(days, kinds, strict=True)
    ]


def all_with_all(sessions: Sequence[Session]) -> Compared:
    """Compare today with all days, whatever was done."""
    of_today = [each for each in sessions if each.day == TODAY]
    return Compared(None, value_of(of_today, RATE), usual(sessions, RATE, TODAY))


def alike(sessions: Sequence[Session]) -> Compared:
    """Compare today as the pages do."""
    return like_with_like(sessions, RATE, TODAY)


def is_outside(found: Compared, times: float = 1) -> bool:
    """Return whether a number of times the day's value is outside the usual range."""
    span = found.usual.range()
    return not (span and found.value and span.low <= times * found.value <= span.high)


def tally(people: Iterable[Compared]) -> Tally:
    """Count these days."""
    counted = Tally()
    for each in people:
        counted = replace(
            counted,
            days=counted.days + 1,
            unusual=counted.unusual + is_outside(each),
            found=counted.found + is_outside(each, LOWER),
        )
    return counted


def print_days_needed() -> None:
    """Print how a range from few days of one activity does, to choose how many are needed."""
    print(f"\n{'days of the activity':38}", *(f"{n:6}" for n in DAYS))
    counted = [_of_few_days(n) for n in DAYS]
    print(f"{'usual days called unusual':38}", *(each.share(each.unusual) for each in counted))
    print(
        f"{'days a third lower that are found':38}", *(each.share(each.found) for each in counted)
    )


def _of_few_days(days: int) -> Tally:
    chance = random.Random(SEED)
    found = []
    for _ in range(5 * PEOPLE):
        *before, value = (rate(chance, "reading") for _ in range(days + 1))
        found.append(Compared("reading", value, usual_of(before, RATE, days)))
    return tally(found)


def people_of(share: float, today: str) -> list[list[Session]]:
    """Return people who read on this share of days, and do `today` today."""
    chance = random.Random(SEED)
    return [person(chance, share, today) for _ in range(PEOPLE)]


def print_least_days() -> None:
    """Print false alarms by the least number of days, on days of an activity that is not daily."""
    print(f"\n{'least days; usual days called unusual':38}", *(f"{n:6}" for n in MINIMA))
    for share in SHARES[:3]:
        people = people_of(share, "reading")
        counted = [
            tally(like_with_like(each, RATE, TODAY, least) for each in people) for least in MINIMA
        ]
        name = f"{share:4.0%} of days, a day of reading"
        print(f"{name:38}", *(each.share(each.unusual) for each in counted))


def print_like_with_like() -> None:
    """Print false alarms and findings of both ways to compare, by how often somebody reads."""
    head = ("unusual: all", "alike", "found: all", "alike")
    print(f"\n{'reads on this share of days':28}", *(f"{each:>14}" for each in head))
    for share in SHARES:
        for kind in ("reading", "talking"):
            mine = people_of(share, kind)
            ways = tally(map(all_with_all, mine)), tally(map(alike, mine))
            cells = [way.share(way.unusual) for way in ways]
            cells += [way.share(way.found) for way in ways]
            print(f"{f'{share:4.0%}, a day of {kind}':28}", *(f"{cell:>14}" for cell in cells))
