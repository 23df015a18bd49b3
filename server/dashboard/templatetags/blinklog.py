"""Template tags and filters of the pages."""

from typing import Any

from django import template
from django.utils.html import format_html_join
from django.utils.safestring import SafeString, mark_safe

from server.dashboard.charts.signs import symbol
from server.dashboard.navigation import Link, links

register = template.Library()


@register.simple_tag(takes_context=True)
def places(context: dict[str, Any]) -> list[Link]:
    """Return the links of the navigation; none without a request or a logged-in user."""
    request = context.get("request")
    user = getattr(request, "user", None)
    return links(request.path) if request and user and user.is_authenticated else []


@register.filter
def breakable(name: str) -> SafeString:
    """Let a name such as `blink_count` break after its underscores, where it is too long."""
    parts = name.split("_")
    return format_html_join("_", "{}", ((part,) for part in parts[:1])) + format_html_join(
        "", "_<wbr>{}", ((part,) for part in parts[1:])
    )


@register.simple_tag
def sign(kind: str) -> SafeString:
    """Draw the symbol of a kind of note, as in the charts; its name is beside it."""
    return mark_safe(
        '<svg class="sign" viewBox="-8 -8 16 16" aria-hidden="true">' + symbol(kind) + "</svg>"
    )
