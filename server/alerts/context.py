"""How many alerts are open, for the navigation of every page."""

from typing import Any

from django.http import HttpRequest
from django.utils.functional import SimpleLazyObject

from server.alerts.audience import alerts_of
from server.care.models import Person


def open_alerts(request: HttpRequest) -> dict[str, Any]:
    """`open_alerts`: counted where a page shows it, with one query."""

    def count() -> int:
        person = getattr(request, "user", None)
        if not isinstance(person, Person):
            return 0
        return alerts_of(person).filter(resolved_at=None).count()

    return {"open_alerts": SimpleLazyObject(count)}
