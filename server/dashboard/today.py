"""The first sentence of a person's page: whether today is as usual."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from django.utils.translation import gettext as _

from server.care.models import Person
from server.dashboard.metrics import BLINK_RATE, PERCLOS, Metric
from server.session_data.summary.statistics import Measured, value_of
from server.session_data.summary.usual import DAYS_NEEDED, USUAL_DAYS, usual
from server.session_data.summary.views import briefs

COMPARED = (BLINK_RATE, PERCLOS)


@dataclass(frozen=True)
class Compared:
    """A metric's value of today beside the usual range; `side` is -1 below it, 1 above it."""

    metric: Metric
    value: str
    low: str
    high: str
    side: int


@dataclass(frozen=True)
class Today:
    """The sentence, and the numbers behind it. `kind` is the CSS class of the sentence."""

    words: str
    kind: str
    compared: Sequence[Compared] = ()


def today_of(person: Person, today: date) -> Today:
    """Return whether a person's finished sessions of today are as usual."""
    return compare(briefs(person, today - timedelta(days=USUAL_DAYS), today), today)


def compare(sessions: Sequence[Measured], today: date) -> Today:
    """Compare today's values with those of the four weeks before."""
    days = max(usual(sessions, metric.key, today).days for metric in COMPARED)
    if days < DAYS_NEEDED:
        text = _("Not enough data yet: %(days)d of %(needed)d days.")
        return Today(text % {"days": days, "needed": DAYS_NEEDED}, "quiet")
    found = [each for metric in COMPARED if (each := _compared(metric, sessions, today))]
    if not found:
        return Today(_("No measurement today yet."), "quiet")
    outside = [_outside(each) for each in found if each.side]
    words = " ".join(outside) or _("Today is as usual.")
    return Today(words, "warn" if outside else "good", found)


def _compared(metric: Metric, sessions: Sequence[Measured], today: date) -> Compared | None:
    value = value_of([each for each in sessions if each.day == today], metric.key)
    span = usual(sessions, metric.key, today).range()
    if value is None or span is None:
        return None
    return Compared(
        metric,
        metric.formatted(value) or "",
        metric.formatted(span.low) or "",
        metric.formatted(span.high) or "",
        (value > span.high) - (value < span.low),
    )


def _outside(each: Compared) -> str:
    text = (
        _("%(metric)s is higher than usual today.")
        if each.side > 0
        else _("%(metric)s is lower than usual today.")
    )
    return text % {"metric": each.metric.name}
