"""The number of open alerts about a person, for pages that can't import this app."""

from typing import Any

from django import template

from server.care.models import Person

register = template.Library()


@register.simple_tag(takes_context=True)
def open_alerts_about(context: dict[str, Any], person: Person) -> int:
    """Return how many open alerts the viewer has about a person."""
    found: int = context["open_alerts_by_person"][person.pk]
    return found
