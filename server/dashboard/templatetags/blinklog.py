"""Template tags of the pages: the main navigation."""

from typing import Any

from django import template

from server.dashboard.navigation import Link, links

register = template.Library()


@register.simple_tag(takes_context=True)
def places(context: dict[str, Any]) -> list[Link]:
    """Return the links of the navigation; none without a request or a logged-in user."""
    request = context.get("request")
    user = getattr(request, "user", None)
    return links(request.path) if request and user and user.is_authenticated else []
