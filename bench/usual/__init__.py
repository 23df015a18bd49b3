"""How often a usual day is inside the usual range, by simulated people: `python -m bench.usual`.

Each simulated person stays as they are for some days, in their own way; the range of these days is
asked about the next one. 19 times of 20 is what the docs promise. activities.py has people who do
different things, and asks how many days an activity needs to be compared with itself.
"""

import random
from collections.abc import Callable

from bench.usual import activities
from server.session_data.summary.usual import usual_of

# People's days, one after the other.
Simulated = Callable[[random.Random, int], list[float]]
SEED = 7


def steady(chance: random.Random, days: int) -> list[float]:
    """Vary alike on every day."""
    return [chance.gauss(15, 2) for _ in range(days)]


def skewed(chance: random.Random, days: int) -> list[float]:
    """Vary like PERCLOS: mostly small, sometimes large, never negative."""
    return [chance.gammavariate(2, 1) for _ in range(days)]


def with_weekends(chance: random.Random, days: int) -> list[float]:
    """Blink more on Saturdays and Sundays."""
    monday = chance.randrange(7)
    return [chance.gauss(15 + 3 * ((monday + n) % 7 >= 5), 2) for n in range(days)]


def with_moods(chance: random.Random, days: int) -> list[float]:
    """Take half of the day before into each day."""
    value, found = chance.gauss(0, 1), []
    for _ in range(days):
        value = 0.5 * value + 0.75**0.5 * chance.gauss(0, 1)
        found.append(15 + 2 * value)
    return found


def with_wild_days(chance: random.Random, days: int) -> list[float]:
    """Have one day in twenty that is far off."""
    return [30 if chance.random() < 0.05 else chance.gauss(15, 2) for _ in range(days)]


PEOPLE = (steady, skewed, with_weekends, with_moods, with_wild_days)


def share_inside(person: Simulated, days: int, people: int) -> float:
    """Return the share of simulated people whose next day is inside the range of `days` days."""
    chance = random.Random(SEED)
    inside = 0
    for _ in range(people):
        *before, today = person(chance, days + 1)
        span = usual_of(before, "").range()
        inside += span is not None and span.low <= today <= span.high
    return inside / people


def main() -> None:
    """Print the table."""
    spans = (7, 10, 14, 21, 28)
    print(f"{'share of usual days inside, by days':38}", *(f"{days:5}" for days in spans))
    for person in PEOPLE:
        shares = (share_inside(person, days, 10_000) for days in spans)
        name = person.__name__.replace("_", " ")
        print(f"{name:38}", *(f"{share:5.1%}" for share in shares))
    activities.print_days_needed()
    activities.print_least_days()
    activities.print_like_with_like()
