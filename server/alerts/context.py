"""Context processor: the open alerts, for the navigation and the pages of people."""

from typing import Any

from django.http import HttpRequest
from django.utils.functional import SimpleLazyObject

from server.alerts.attention import Attention, attention_of
from server.care.models import Person


def open_alerts(request: HttpRequest) -> dict[str, Any]:
    """Add `open_alerts`, the number that nobody looks after, and `alerts_attention`.

    They are lazy: only pages that show them pay for their queries.
    """

    def found() -> Attention:
        viewer = getattr(request, "user", None)
        return attention_of(viewer) if isinstance(viewer, Person) else Attention()

    attention = SimpleLazyObject(found)
    return {
        "open_alerts": SimpleLazyObject(lambda: sum(attention.waiting.values())),
        "alerts_attention": attention,
    }
