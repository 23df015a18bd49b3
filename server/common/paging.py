"""Pagination of long lists: by number on the pages, by cursor in the API.

In the API, every list has the parameters `cursor` and `limit`, and refuses parameters that it
doesn't know. A page begins where the one before ended, so that no row is missed or repeated while
others are added.
"""

import base64
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from django.core.exceptions import ValidationError as ModelError
from django.db.models import DateTimeField, Model, Q, QuerySet
from django.http import QueryDict
from drf_spectacular.utils import OpenApiParameter
from rest_framework import serializers
from rest_framework.exceptions import ErrorDetail, ValidationError
from rest_framework.request import Request
from rest_framework.utils.urls import replace_query_param

from server.common.fields import quoted, refuse

Row = TypeVar("Row", bound=Model)

SIZE = 50
MOST_PAGES = 1000


@dataclass(frozen=True)
class Paged(Generic[Row]):
    """A page's rows, its number, and the numbers of its neighbours (`None` at either end)."""

    rows: Sequence[Row]
    number: int
    newer: int | None
    older: int | None


def paged(rows: QuerySet[Row], text: str, size: int = SIZE) -> Paged[Row]:
    """Return the page whose number, from 1, is in `text`; the first page if `text` is invalid."""
    short = text.isascii() and text.isdecimal() and len(text) <= len(str(MOST_PAGES))
    number = min(max(int(text) if short else 1, 1), MOST_PAGES)
    start = (number - 1) * size
    found = list(rows[start : start + size + 1])
    more = len(found) > size and number < MOST_PAGES
    newer = number - 1 if number > 1 else None
    return Paged(found[:size], number, newer, number + 1 if more else None)


# Maximum number of rows in a page of the API, and the default.
MOST_ROWS = 200


class PageSerializer(serializers.Serializer[Any]):
    """A page of a list in the API. Subclasses add `results`."""

    limit = serializers.IntegerField()
    has_more = serializers.BooleanField(help_text="Whether there is a next page")
    next = serializers.URLField(allow_null=True, help_text="The next page")
    previous = serializers.URLField(allow_null=True, help_text="The previous page")


def parameter(name: str, text: str, schema: Any = str) -> OpenApiParameter:
    """Return the OpenAPI description of a query parameter."""
    return OpenApiParameter(name, schema, OpenApiParameter.QUERY, description=text)


def header(name: str, text: str, response: Any = False) -> OpenApiParameter:
    """Return the OpenAPI description of a header, of the request or of these responses."""
    return OpenApiParameter(name, str, "header", description=text, response=response)


PAGE_PARAMETERS = [
    parameter("cursor", "A position in the list, from `next` or `previous`"),
    parameter(
        "limit",
        "Maximum number of results",
        {"type": "integer", "minimum": 1, "maximum": MOST_ROWS},
    ),
]


@dataclass(frozen=True)
class RowsPage(Generic[Row]):
    """A page of rows, and the URLs of its neighbours (`None` at either end)."""

    rows: Sequence[Row]
    limit: int
    next: str | None
    previous: str | None

    def answer(self, results: Sequence[Any]) -> dict[str, Any]:
        """Return the response, in the form of `PageSerializer`, with these results."""
        return {
            "limit": self.limit,
            "has_more": self.next is not None,
            "next": self.next,
            "previous": self.previous,
            "results": results,
        }


def rows_page(
    request: Request, rows: QuerySet[Row], order: Sequence[str], names: Sequence[str] = ()
) -> RowsPage[Row]:
    """Return the page of `rows` that the query asks for. `names` are the list's other parameters.

    `order` has the names of fields, with "-" for descending; together, their values are unique.
    Raises `ValidationError`, which names the parameter.
    """
    query = request.query_params
    check_names(query, (*names, "cursor", "limit"))
    limit = read_parameter(query, "limit", read_limit) or MOST_ROWS
    cursor = read_parameter(query, "cursor", lambda text: _read_cursor(text, rows.model, order))
    back, values = cursor or (False, None)
    way = [_reversed(name) for name in order] if back else order
    if values is not None:
        rows = rows.filter(_beyond(way, values))
    found = list(rows.order_by(*way)[: limit + 1])
    more, found = len(found) > limit, found[:limit]
    if back:
        found.reverse()
    # A reader who comes from the next page knows that there is one, and vice versa.
    has_next = bool(found) and (more or back)
    has_previous = bool(found) and (more if back else values is not None)
    return RowsPage(
        found,
        limit,
        _link(request, found[-1], order, back=False) if has_next else None,
        _link(request, found[0], order, back=True) if has_previous else None,
    )


def check_names(query: QueryDict, names: Sequence[str]) -> None:
    """Raise `ValidationError` for a parameter that is not in `names`, or that is repeated."""
    for name, texts in query.lists():
        if name not in names:
            text = f"expected one of {', '.join(names)}"
            error = ErrorDetail(text, "unknown_parameter")
            raise ValidationError({quoted(name).strip("'"): [error]})
        if len(texts) > 1:
            text = f"expected once, found {len(texts)} times"
            raise ValidationError({name: [ErrorDetail(text, "repeated_parameter")]})


def read_parameter(query: QueryDict, name: str, reader: Callable[[str], Any]) -> Any:
    """Parse a parameter with `reader`; return `None` without it.

    Raises `ValidationError`, which names the parameter.
    """
    text = query.get(name)
    if text is None:
        return None
    try:
        return reader(text)
    except ValidationError as error:
        raise ValidationError({name: error.detail}) from None


def read_limit(text: str) -> int:
    """Return the maximum number of results. Raises `ValidationError`."""
    limit = int(text) if text.isascii() and text.isdecimal() and len(text) <= 3 else 0
    if not 1 <= limit <= MOST_ROWS:
        refuse(f"a whole number from 1 to {MOST_ROWS}", text)
    return limit


def _reversed(name: str) -> str:
    return name[1:] if name.startswith("-") else f"-{name}"


def _beyond(order: Sequence[str], values: Sequence[Any]) -> Q:
    """Return the filter for rows after these values in that order."""
    beyond, same = Q(), Q()
    for name, value in zip(order, values, strict=True):
        field = name.removeprefix("-")
        beyond |= same & Q(**{f"{field}__{'lt' if name.startswith('-') else 'gt'}": value})
        same &= Q(**{field: value})
    return beyond


def _link(request: Request, row: Model, order: Sequence[str], *, back: bool) -> str:
    """Return the URL of the same query before or after the row."""
    fields = [int(back), *(getattr(row, name.removeprefix("-")) for name in order)]
    raw = json.dumps(fields, default=str).encode()
    cursor = base64.urlsafe_b64encode(raw).decode().rstrip("=")
    return str(replace_query_param(request.build_absolute_uri(), "cursor", cursor))


def _read_cursor(text: str, model: type[Model], order: Sequence[str]) -> tuple[bool, list[Any]]:
    """Return whether the cursor reads backwards, and its values."""
    try:
        raw = base64.b64decode(text + "=" * (-len(text) % 4), b"-_", validate=True)
        back, *texts = json.loads(raw)
        if back not in (0, 1) or len(texts) != len(order):
            raise ValueError(back)
        return bool(back), [_value(model, *each) for each in zip(order, texts, strict=True)]
    except (ValueError, TypeError, OverflowError, RecursionError, ModelError):
        raise ValidationError("expected a cursor from an earlier response") from None


def _value(model: type[Model], name: str, text: Any) -> Any:
    """Return a cursor's value of that field. Raises `ValueError` for one that no row can have."""
    if not isinstance(text, (str, int)) or "\x00" in str(text):  # PostgreSQL refuses NUL
        raise ValueError(text)
    field = model._meta.get_field(name.removeprefix("-"))
    value = field.to_python(text)  # type: ignore[union-attr] # a column, not a relation
    if isinstance(field, DateTimeField) and not (value.tzinfo and 1970 <= value.year < 2200):
        raise ValueError(text)
    return value
