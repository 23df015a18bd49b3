"""The number of open alerts about a person, for pages that can't import this app."""

from django import template

from server.alerts.audience import alerts_of
from server.care.models import Person

register = template.Library()


@register.simple_tag
def open_alerts_about(person: Person, viewer: Person) -> int:
    """Return how many open alerts the viewer has about a person."""
    return alerts_of(viewer).filter(person=person, resolved_at=None).count()
