"""Context processor: the number of open alerts, for the navigation."""

from typing import Any

from django.http import HttpRequest
from django.utils.functional import SimpleLazyObject

from server.alerts.audience import alerts_of
from server.care.models import Person


def open_alerts(request: HttpRequest) -> dict[str, Any]:
    """Add `open_alerts`. It is lazy: only pages that show it pay for its one query."""

    def count() -> int:
        person = getattr(request, "user", None)
        if not isinstance(person, Person):
            return 0
        return alerts_of(person).filter(resolved_at=None).count()

    return {"open_alerts": SimpleLazyObject(count)}
