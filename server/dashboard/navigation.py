"""Where one can go from every page: the links of `base.html`."""

from collections.abc import Sequence
from dataclasses import dataclass

from django.urls import reverse
from django.utils.translation import gettext_lazy

from server.dashboard.metrics import Text

# What the link says, and the name of its page.
PLACES: Sequence[tuple[Text, str]] = (
    (gettext_lazy("People"), "dashboard:people"),
    (gettext_lazy("Sharing"), "care:sharing"),
    (gettext_lazy("Devices"), "devices:devices"),
    (gettext_lazy("Alerts"), "alerts:alerts"),
    (gettext_lazy("Account"), "care:account"),
)


@dataclass(frozen=True)
class Link:
    """`here`: the page being looked at is this one, or lies below it."""

    text: Text
    address: str
    here: bool


def links(path: str) -> list[Link]:
    """The places, as seen from the page at `path`."""
    found = [(text, reverse(name)) for text, name in PLACES]
    return [Link(text, address, _is_here(path, address)) for text, address in found]


def _is_here(path: str, address: str) -> bool:
    if address == "/":  # below it lies everything; people and their sessions are meant
        return path == "/" or path.startswith(("/people/", "/sessions/"))
    return path.startswith(address)
