"""Compare like with like: a day's sessions with earlier ones of the same activity. Pure.

    the day's main activity -> its sessions of the day, beside its days of the four weeks before
    too few such days, or no activity -> all sessions of the day, beside those of all days

Reading halves many people's blink rate. Without their activities, a day of reading looks unusual to
somebody who seldom reads, and the range of somebody who often does is too wide to find anything.
There is one comparison a day for each metric, so that more activities don't bring more chances to
be outside. bench/usual checks it with simulated people.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date

from server.session_data.summary.statistics import Measured, value_of
from server.session_data.summary.usual import DAYS_NEEDED, Usual, usual

# Days with an activity before it is compared with itself. Chosen by bench/usual: with fewer, the
# range misses most days that are a third lower; with more, rare activities are compared with all.
ALIKE_DAYS = 5


@dataclass(frozen=True)
class Compared:
    """A day's value of a metric beside what is usual: both of one activity, or of all sessions.

    `activity` is `None` for all sessions.
    """

    activity: str | None
    value: float | None
    usual: Usual


def like_with_like(
    sessions: Iterable[Measured], key: str, day: date, least: int = ALIKE_DAYS
) -> Compared:
    """Compare a day's sessions with those of the four weeks before it.

    There is no range before there is one of all sessions. `least` is how many days of an activity
    are needed.
    """
    sessions = list(sessions)
    of_day = [each for each in sessions if each.day == day]
    of_all = Compared(None, value_of(of_day, key), usual(sessions, key, day))
    activity = main_activity(of_day)
    if activity is None or of_all.usual.days < DAYS_NEEDED:
        return of_all
    value = value_of(of_activity(of_day, activity), key)
    before = usual(of_activity(sessions, activity), key, day, least)
    if value is None or before.days < least:
        return of_all
    return Compared(activity, value, before)


def of_activity(sessions: Iterable[Measured], activity: str) -> list[Measured]:
    """Return the sessions of the activity."""
    return [each for each in sessions if each.activity == activity]


def main_activity(sessions: Iterable[Measured]) -> str | None:
    """Return the activity with the most measured time; `None` if that is of sessions without one.

    Sessions of uncertain date don't count, because their day is unknown.
    """
    seconds: defaultdict[str, float] = defaultdict(float)
    for each in sessions:
        if not each.date_uncertain:
            seconds[each.activity or ""] += each.values.get("valid_s") or 0
    return max(seconds, key=lambda name: (seconds[name], name), default="") or None


def activities_of(sessions: Sequence[Measured]) -> list[str]:
    """Return the activities of these sessions, in alphabetical order."""
    return sorted({each.activity for each in sessions if each.activity})
