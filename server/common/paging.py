"""Pagination for long lists, newest first."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from django.db.models import Model, QuerySet

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
