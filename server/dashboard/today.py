"""The first sentences of a person's page: whether today is as usual, and compared with what."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from django.utils.translation import gettext as _

from server.care.models import Person
from server.dashboard.metrics import BLINK_RATE, PERCLOS, Metric
from server.session_data.activity.words import compared_with
from server.session_data.summary.alike import Compared as Found
from server.session_data.summary.alike import like_with_like
from server.session_data.summary.statistics import Measured
from server.session_data.summary.usual import DAYS_NEEDED, USUAL_DAYS
from server.session_data.summary.views import briefs

COMPARED = (BLINK_RATE, PERCLOS)


@dataclass(frozen=True)
class Compared:
    """A metric's value of today beside the usual range; `side` is -1 below it, 1 above it.

    `basis` says with which sessions it is compared.
    """

    metric: Metric
    value: str
    low: str
    high: str
    side: int
    basis: str


@dataclass(frozen=True)
class Today:
    """The sentences, and the numbers behind them. `kind` is the CSS class of the sentences."""

    words: str
    kind: str
    compared: Sequence[Compared] = ()


def today_of(person: Person, today: date) -> Today:
    """Return whether a person's finished sessions of today are as usual."""
    return compare(briefs(person, today - timedelta(days=USUAL_DAYS), today), today)


def compare(sessions: Sequence[Measured], today: date) -> Today:
    """Compare today's values with those of the four weeks before."""
    pairs = [(metric, like_with_like(sessions, metric.key, today)) for metric in COMPARED]
    if all(found.usual.range() is None for _metric, found in pairs):
        days = max(found.usual.days for _metric, found in pairs)
        text = _("Not enough data yet: %(days)d of %(needed)d days.")
        return Today(text % {"days": days, "needed": DAYS_NEEDED}, "quiet")
    compared = [each for metric, found in pairs if (each := _compared(metric, found))]
    if not compared:
        return Today(_("No measurement today yet."), "quiet")
    outside = [_outside(each) for each in compared if each.side]
    verdicts = outside or [_("Today is as usual.")]
    words = " ".join([*verdicts, *_bases(compared)])
    return Today(words, "warn" if outside else "good", compared)


def _bases(compared: Sequence[Compared]) -> list[str]:
    """Return with what today is compared; for each metric if it differs between them."""
    if len({each.basis for each in compared}) == 1:
        return [compared[0].basis]
    return [f"{each.metric.name}: {each.basis}" for each in compared]


def _compared(metric: Metric, found: Found) -> Compared | None:
    value, span = found.value, found.usual.range()
    if value is None or span is None:
        return None
    return Compared(
        metric,
        metric.formatted(value) or "",
        metric.formatted(span.low) or "",
        metric.formatted(span.high) or "",
        (value > span.high) - (value < span.low),
        compared_with(found.activity, found.usual.days),
    )


def _outside(each: Compared) -> str:
    text = (
        _("%(metric)s is higher than usual today.")
        if each.side > 0
        else _("%(metric)s is lower than usual today.")
    )
    return text % {"metric": each.metric.name}
