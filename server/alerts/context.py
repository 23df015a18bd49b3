"""Context processor: the open alerts, for the navigation and the pages of people."""

from collections import Counter
from typing import Any

from django.http import HttpRequest
from django.utils.functional import SimpleLazyObject

from server.alerts.audience import alerts_of
from server.care.models import Person


def open_alerts(request: HttpRequest) -> dict[str, Any]:
    """Add `open_alerts`, a number, and `open_alerts_by_person`, by the person's key.

    They are lazy: only pages that show them pay for their one query.
    """

    def by_person() -> Counter[int]:
        viewer = getattr(request, "user", None)
        if not isinstance(viewer, Person):
            return Counter()
        mine = alerts_of(viewer).filter(resolved_at=None)
        return Counter(mine.order_by().values_list("person_id", flat=True))

    found = SimpleLazyObject(by_person)
    return {
        "open_alerts": SimpleLazyObject(lambda: sum(found.values())),
        "open_alerts_by_person": found,
    }
