"""The symbols of notes: in charts at their day, and in lists."""

from collections.abc import Sequence
from dataclasses import dataclass

from django.utils.html import escape

# Shapes around (0, 0), 14 units wide, that differ without colour. Several kinds in a day: a star.
SHAPES = {
    "medicine": "M-2.3-6.5H2.3V-2.3H6.5V2.3H2.3V6.5H-2.3V2.3H-6.5V-2.3H-2.3Z",
    "drops": "M0-7C2.5-3.5 5-1 5 2A5 5 0 0 1-5 2C-5-1-2.5-3.5 0-7Z",
    "bad_sleep": "M2.5-6.5A6.8 6.8 0 1 0 6.5 3.6A5.6 5.6 0 0 1 2.5-6.5Z",
    "text": "M-6-6H6V3H0L-4 7V3H-6Z",
    "several": "M0-7L1.8-2.4 6.7-2.2 2.9.9 4.1 5.7 0 3-4.1 5.7-2.9.9-6.7-2.2-1.8-2.4Z",
}


@dataclass(frozen=True)
class Sign:
    """The notes of a day, at `x` on the axis; `text` says them, `href` is the page it links to."""

    x: float
    kinds: Sequence[str]
    text: str
    href: str = ""

    @property
    def kind(self) -> str:
        """The kind of symbol."""
        return self.kinds[0] if len(set(self.kinds)) == 1 else "several"


def symbol(kind: str) -> str:
    """Return the symbol as a path."""
    return f'<path class="symbol" d="{SHAPES[kind]}"/>'


def placed(sign: Sign, at: float) -> str:
    """Return the symbol at the top of a plot, at a position in percent, with text and link."""
    title = f"<title>{escape(sign.text)}</title>"
    drawn = (
        f'<svg class="sign" x="{at:.2f}%" y="-.5rem" width="1rem" height="1rem"'
        f' viewBox="0 0 16 16" overflow="visible">'
        f"{symbol(sign.kind)}</svg>"
    )
    if not sign.href:
        return f"<g>{title}{drawn}</g>"
    return f'<a href="{escape(sign.href)}" tabindex="-1">{title}{drawn}</a>'
