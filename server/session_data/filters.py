"""Parse and validate the query parameters of the history. Unknown ones are errors."""

from dataclasses import dataclass
from datetime import date, datetime

from django.db.models import Q
from django.http import QueryDict
from rest_framework.exceptions import ValidationError

from server.common.days import placed_within, zone_of
from server.common.fields import refuse
from server.common.paging import check_names, parameter, read_limit, read_parameter
from server.session_data.history import Cursor
from server.session_data.models import ACTIVITIES, State

DEFAULT_LIMIT = 50
PARAMETERS = ("user", "from", "to", "state", "activity", "cursor", "limit", "updated_since")
# The sessions without an activity.
NO_ACTIVITY = "none"
ACTIVITIES_OR_NONE = [*ACTIVITIES, NO_ACTIVITY]
ACTIVITY_PARAMETER = parameter(
    "activity",
    "Only sessions of this activity; `none`: only those without one",
    {"type": "string", "enum": ACTIVITIES_OR_NONE},
)


Bound = date | datetime


@dataclass(frozen=True, slots=True)
class Asked:
    """A parsed query. A bound is a local day or a moment; `None` is unbounded."""

    user: str | None
    first: Bound | None
    last: Bound | None
    states: tuple[State, ...]
    cursor: Cursor | None
    limit: int
    activity: str | None = None

    def range(self) -> Q:
        """Return the filter for sessions within the bounds.

        Days are compared with `local_day`, both ends inclusive; moments with `placed_at`, the end
        exclusive. For days, `placed_at` is restricted too, so that its index can be used.
        """
        wanted = Q()
        if isinstance(self.first, datetime):
            wanted &= Q(placed_at__gte=self.first)
        elif self.first is not None:
            begin, _ = placed_within(self.first, self.first)
            wanted &= Q(local_day__gte=self.first, placed_at__gte=begin)
        if isinstance(self.last, datetime):
            wanted &= Q(placed_at__lt=self.last)
        elif self.last is not None:
            _, end = placed_within(self.last, self.last)
            wanted &= Q(local_day__lte=self.last, placed_at__lte=end)
        return wanted & of_activity(self.activity)


def of_activity(activity: str | None) -> Q:
    """Return the filter for sessions of an activity, or with `NO_ACTIVITY`; `None` means all."""
    if activity is None:
        return Q()
    return Q(activity=None if activity == NO_ACTIVITY else activity)


def read_activity(text: str) -> str:
    """Parse `activity`. Raises `ValidationError` for an unknown word."""
    if text not in ACTIVITIES_OR_NONE:
        refuse(f"one of {', '.join(ACTIVITIES_OR_NONE)}", text)
    return text


def read_query(query: QueryDict, zone: str) -> Asked:
    """Parse the query. Raises `ValidationError`, which names the invalid parameter.

    Moments without a UTC offset are in `zone`, the person's time zone.
    """
    check_names(query, PARAMETERS)
    first, last = read_bounds(query, zone)
    return Asked(
        user=query.get("user"),
        first=first,
        last=last,
        states=read_parameter(query, "state", _states) or (),
        cursor=read_parameter(query, "cursor", _cursor),
        limit=read_parameter(query, "limit", read_limit) or DEFAULT_LIMIT,
        activity=read_parameter(query, "activity", read_activity),
    )


def read_bounds(query: QueryDict, zone: str) -> tuple[Bound | None, Bound | None]:
    """Parse `from` and `to`: local days or moments. One without a UTC offset is in `zone`."""

    def bound(name: str) -> Bound | None:
        found: Bound | None = read_parameter(query, name, lambda text: _bound(text, zone))
        return found

    first, last = bound("from"), bound("to")
    if first is not None and type(first) is type(last) and first > last:
        raise ValidationError({"to": "expected an end that is not before the start"})
    return first, last


def _bound(text: str, zone: str) -> date | datetime:
    try:
        if len(text) == len("2026-11-22"):
            bound: date | datetime = date.fromisoformat(text)
        else:
            bound = datetime.fromisoformat(text)
            if bound.tzinfo is None:
                bound = bound.replace(tzinfo=zone_of(zone, None, "UTC"))
    except ValueError:
        bound = date.min
    if not 1971 <= bound.year < 2199:  # leave a margin, so that hours can be added
        refuse("a date such as 2026-11-22, or a time such as 2026-11-22T10:15:30Z", text)
    return bound


def _states(text: str) -> tuple[State, ...]:
    names = text.split(",")
    if not set(names) <= set(State.values):
        refuse(f"a comma-separated list of {', '.join(State.values)}", text)
    chosen = tuple(state for state in State if state in names)
    return () if len(chosen) == len(State) else chosen


def _cursor(text: str) -> Cursor:
    try:
        return Cursor.read(text)
    except ValueError as error:
        raise ValidationError(str(error)) from None
