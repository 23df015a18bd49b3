"""Where one can go from every page: the links of `base.html`, as far as their pages exist.

An app joins by naming its page as one of these; what no address answers to is left out.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from django.urls import NoReverseMatch, reverse
from django.utils.translation import gettext_lazy

from server.dashboard.metrics import Text

# What the link says, and the names its page may have.
PLACES: Sequence[tuple[Text, Sequence[str]]] = (
    (gettext_lazy("People"), ("dashboard:people",)),
    (gettext_lazy("Sharing"), ("care:sharing", "sharing", "dashboard:sharing")),
    (gettext_lazy("Devices"), ("devices:devices", "devices", "devices:list", "dashboard:devices")),
    (gettext_lazy("Alerts"), ("alerts:alerts", "alerts", "alerts:list", "alerts:page")),
    (gettext_lazy("Account"), ("care:account", "account", "dashboard:account")),
)


@dataclass(frozen=True)
class Link:
    """`here`: the page being looked at is this one, or lies below it."""

    text: Text
    address: str
    here: bool


def links(path: str) -> list[Link]:
    """The places there are, as seen from the page at `path`."""
    return [Link(text, address, _is_here(path, address)) for text, address in _existing()]


def _existing() -> Iterator[tuple[Text, str]]:
    for text, names in PLACES:
        addresses = filter(None, map(_address, names))
        if address := next(addresses, None):
            yield text, address


def _address(name: str) -> str | None:
    try:
        return reverse(name)
    except NoReverseMatch:
        return None


def _is_here(path: str, address: str) -> bool:
    if address == "/":  # below it lies everything; people and their sessions are meant
        return path == "/" or path.startswith(("/people/", "/sessions/"))
    return path.startswith(address)
