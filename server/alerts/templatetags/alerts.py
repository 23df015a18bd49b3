"""The number of open alerts about a person, for pages that can't import this app."""

from typing import Any

from django import template

from server.care.models import Person

register = template.Library()


@register.simple_tag(takes_context=True)
def open_alerts_about(context: dict[str, Any], person: Person) -> int:
    """Return how many of the viewer's open alerts about a person nobody looks after."""
    found: int = context["alerts_attention"].waiting[person.pk]
    return found


@register.simple_tag(takes_context=True)
def looking_after(context: dict[str, Any], person: Person) -> list[Person]:
    """Return who looks after the viewer's other open alerts about a person."""
    found: list[Person] = context["alerts_attention"].looked_after.get(person.pk, [])
    return found
