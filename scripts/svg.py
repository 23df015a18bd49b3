"""Small pictures as SVG text. Attributes are in a fixed order, so the output is reproducible."""

from collections.abc import Iterable
from xml.sax.saxutils import escape, quoteattr

Point = tuple[float, float]

FONT = "system-ui, 'Segoe UI', Roboto, Helvetica, Arial, sans-serif"


def number(value: float) -> str:
    """Short, and the same on every machine."""
    return f"{value:.2f}".rstrip("0").rstrip(".")


def tag(name: str, content: str = "", **attributes: object) -> str:
    """An element. `fill_opacity=1` is `fill-opacity="1"`; None is left out."""
    said = "".join(
        f" {key.rstrip('_').replace('_', '-')}={quoteattr(_text(value))}"
        for key, value in attributes.items()
        if value is not None
    )
    return f"<{name}{said}>{content}</{name}>" if content else f"<{name}{said}/>"


def rect(x: float, y: float, width: float, height: float, **style: object) -> str:
    """A rectangle by its upper left corner."""
    return tag("rect", x=x, y=y, width=width, height=height, **style)


def circle(x: float, y: float, r: float, **style: object) -> str:
    """A circle by its middle."""
    return tag("circle", cx=x, cy=y, r=r, **style)


def text(x: float, y: float, words: str, size: float = 14, **style: object) -> str:
    """A line of text whose baseline begins at (x, y), unless `text_anchor` says otherwise."""
    return tag("text", escape(words), x=x, y=y, font_size=size, **{"fill": "#1d2733", **style})


def path(points: Iterable[Point], radius: float = 0, **style: object) -> str:
    """A line through points, with its corners rounded."""
    return tag("path", d=_rounded(list(points), radius), **{"fill": "none", **style})


def group(*parts: str, **style: object) -> str:
    """Parts that share a style."""
    return tag("g", "\n".join(("", *parts, "")), **style)


def picture(width: float, height: float, title: str, about: str, *parts: str) -> str:
    """A whole file. `title` and `about` are what a screen reader says."""
    head = [
        tag("title", escape(title), id="title"),
        tag("desc", escape(about), id="desc"),
        rect(0, 0, width, height, rx=10, fill="#ffffff"),  # legible on a dark page too
    ]
    return (
        tag(
            "svg",
            "\n".join(("", *head, *parts, "")),
            xmlns="http://www.w3.org/2000/svg",
            viewBox=f"0 0 {number(width)} {number(height)}",
            width=width,
            height=height,
            role="img",
            aria_labelledby="title desc",
            font_family=FONT,
        )
        + "\n"
    )


def _text(value: object) -> str:
    return number(value) if isinstance(value, int | float) else str(value)


def _rounded(points: list[Point], radius: float) -> str:
    """Each corner cut off at `radius` and bent through."""
    steps = [f"M {number(points[0][0])} {number(points[0][1])}"]
    for before, corner, after in zip(points, points[1:], points[2:], strict=False):
        near, far = _towards(corner, before, radius), _towards(corner, after, radius)
        steps.append(f"L {_pair(near)} Q {_pair(corner)} {_pair(far)}")
    steps.append(f"L {_pair(points[-1])}")
    return " ".join(steps)


def _towards(start: Point, end: Point, length: float) -> Point:
    across, down = end[0] - start[0], end[1] - start[1]
    whole = max((across**2 + down**2) ** 0.5, 1e-9)
    share = min(length / whole, 0.5)
    return start[0] + share * across, start[1] + share * down


def _pair(point: Point) -> str:
    return f"{number(point[0])} {number(point[1])}"
