"""The main navigation of `base.html`."""

from collections.abc import Sequence
from dataclasses import dataclass

from django.urls import reverse
from django.utils.translation import gettext_lazy

from server.dashboard.metrics import Text

# Text of the link and name of its URL.
PLACES: Sequence[tuple[Text, str]] = (
    (gettext_lazy("People"), "dashboard:people"),
    (gettext_lazy("Sharing"), "care:sharing"),
    (gettext_lazy("Devices"), "devices:devices"),
    (gettext_lazy("Alerts"), "alerts:alerts"),
    (gettext_lazy("Account"), "care:account"),
)


@dataclass(frozen=True)
class Link:
    """A link. `here` is whether the current page is this one or below it."""

    text: Text
    address: str
    here: bool


def links(path: str) -> list[Link]:
    """Return the links for the page at `path`."""
    found = [(text, reverse(name)) for text, name in PLACES]
    return [Link(text, address, _is_here(path, address)) for text, address in found]


def _is_here(path: str, address: str) -> bool:
    if address == "/":  # every path starts with it; it stands for people, sessions, exports
        return path == "/" or path.startswith(("/people/", "/sessions/", "/export/"))
    return path.startswith(address)
