"""What templates ask for themselves: where one can go, and the figures' small words."""

from typing import Any

from django import template

from server.dashboard.navigation import Link, links

register = template.Library()


@register.simple_tag(takes_context=True)
def places(context: dict[str, Any]) -> list[Link]:
    """The links of the navigation; none for who is not logged in, or where there is no request."""
    request = context.get("request")
    user = getattr(request, "user", None)
    return links(request.path) if request and user and user.is_authenticated else []
