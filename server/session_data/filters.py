"""What a client may ask of a history, checked: nothing is ignored silently."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from django.db.models import Q
from django.http import QueryDict
from drf_spectacular.utils import OpenApiParameter
from rest_framework.exceptions import ValidationError

from server.common.days import placed_within, zone_of
from server.common.fields import quoted, refuse
from server.session_data.history import Cursor
from server.session_data.models import State

DEFAULT_LIMIT = 50
MOST = 200
PARAMETERS = ("user", "from", "to", "state", "cursor", "limit")


Bound = date | datetime


@dataclass(frozen=True, slots=True)
class Asked:
    """What was asked for. A bound is a local day, or a moment; `None` is open."""

    user: str | None
    first: Bound | None
    last: Bound | None
    states: tuple[State, ...]
    cursor: Cursor | None
    limit: int

    def range(self) -> Q:
        """The sessions within the bounds.

        A day is the session's own `local_day`, both ends included; a moment is compared with
        `placed_at`, the end excluded. For days, `placed_at` is narrowed too, so that the same
        index serves.
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
        return wanted


def parameter(name: str, text: str, schema: Any = str) -> OpenApiParameter:
    """One parameter's description."""
    return OpenApiParameter(name, schema, OpenApiParameter.QUERY, description=text)


def read_query(query: QueryDict, zone: str) -> Asked:
    """The query's parameters; `ValidationError` names the one that is wrong.

    A moment without an offset is one in `zone`, the person's own.
    """
    check_names(query)
    first, last = read_bounds(query, zone)
    return Asked(
        user=query.get("user"),
        first=first,
        last=last,
        states=read_parameter(query, "state", _states) or (),
        cursor=read_parameter(query, "cursor", _cursor),
        limit=read_parameter(query, "limit", _limit) or DEFAULT_LIMIT,
    )


def read_bounds(query: QueryDict, zone: str) -> tuple[Bound | None, Bound | None]:
    """`from` and `to`: local days or moments; one without an offset is meant in `zone`."""

    def bound(name: str) -> Bound | None:
        found: Bound | None = read_parameter(query, name, lambda text: _bound(text, zone))
        return found

    first, last = bound("from"), bound("to")
    if first is not None and type(first) is type(last) and first > last:
        raise ValidationError({"to": "expected an end that is not before the start"})
    return first, last


def check_names(query: QueryDict, names: Sequence[str] = PARAMETERS) -> None:
    """Refuse a parameter that is none of `names`, or comes twice."""
    for name, texts in query.lists():
        if name not in names:
            expected = f"expected one of {', '.join(names)}"
            raise ValidationError({quoted(name).strip("'"): expected})
        if len(texts) > 1:
            raise ValidationError({name: f"expected it once, found it {len(texts)} times"})


def read_parameter(query: QueryDict, name: str, reader: Any) -> Any:
    """What `reader` makes of the parameter, `None` without it; an error names it."""
    text = query.get(name)
    if text is None:
        return None
    try:
        return reader(text)
    except ValidationError as error:
        raise ValidationError({name: error.detail}) from None


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
    if not 1971 <= bound.year < 2199:  # away from the ends, so that hours can be added to it
        refuse("a date such as 2026-11-22, or a moment such as 2026-11-22T10:15:30Z", text)
    return bound


def _states(text: str) -> tuple[State, ...]:
    names = text.split(",")
    if not set(names) <= set(State.values):
        refuse(f"some of {', '.join(State.values)}, with commas between", text)
    chosen = tuple(state for state in State if state in names)
    return () if len(chosen) == len(State) else chosen


def _cursor(text: str) -> Cursor:
    try:
        return Cursor.read(text)
    except ValueError as error:
        raise ValidationError(str(error)) from None


def _limit(text: str) -> int:
    limit = int(text) if text.isascii() and text.isdecimal() and len(text) <= 3 else 0
    if not 1 <= limit <= MOST:
        refuse(f"a whole number from 1 to {MOST}", text)
    return limit
