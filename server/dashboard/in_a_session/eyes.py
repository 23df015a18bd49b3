"""Each eye and the gaze on a session's page: sentences, and both eyes beside each other."""

from collections.abc import Sequence
from dataclasses import dataclass

from django.utils.translation import gettext as _

from server.common.words import number
from server.dashboard.metrics import CLOSURE_LEFT, CLOSURE_RIGHT, EAR, LOOKING_DOWN, Values
from server.session_data.summary.eyes import Eyes


@dataclass(frozen=True)
class EyeRow:
    """A row of the table of both eyes. `None` means not measured."""

    name: str
    left: str | None
    right: str | None


@dataclass(frozen=True)
class BothEyes:
    """Both eyes of a session beside each other, where they differ by more than their noise."""

    sentence: str
    rows: Sequence[EyeRow]


def eye_lines(values: Values) -> list[str]:
    """Return the sentences for a session with these metrics."""
    looking_down = LOOKING_DOWN.formatted(values.get(LOOKING_DOWN.key))
    gaze = _("Looking down %(share)s %% of the time.") % {"share": looking_down}
    return [*_closing(values), *([gaze] if looking_down is not None else [])]


def _closing(values: Values) -> list[str]:
    """Return a sentence on each eye's closure if both are known."""
    left, right = _closures(values)
    if left is None or right is None:
        return []
    sentence = _(
        "In a typical blink the left eye closes by %(left)s %%, the right by %(right)s %%."
    )
    return [sentence % {"left": left, "right": right}]


def both_eyes(values: Values, eyes: Eyes | None) -> BothEyes | None:
    """Return both eyes beside each other if they differ; `None` otherwise."""
    if eyes is None or not eyes.differ:
        return None
    left, right = _closures(values)
    rows = [
        EyeRow(
            _("Eye aspect ratio, open"),
            EAR.formatted(values.get("ear_open_left")),
            EAR.formatted(values.get("ear_open_right")),
        ),
        EyeRow(_("Closure in a typical blink, %"), left, right),
        EyeRow(
            _("Blinks in which only the other eye closed"),
            number(eyes.left_open, 0),
            number(eyes.right_open, 0),
        ),
    ]
    return BothEyes(_sentence(eyes), rows)


def _sentence(eyes: Eyes) -> str:
    least, most = sorted(abs(end) for end in (eyes.low, eyes.high))
    less = (
        _("The left eye closed less than the right.")
        if eyes.difference > 0
        else _("The right eye closed less than the left.")
    )
    how_much = _(
        "In the median of %(n)d blinks, by %(least)s to %(most)s percentage points. That is more "
        "than the measurement of two eyes that close alike differs."
    )
    words = {"n": eyes.blinks, "least": number(least * 100, 0), "most": number(most * 100, 0)}
    return f"{less} {how_much % words}"


def _closures(values: Values) -> tuple[str | None, str | None]:
    """Return the typical closure of the left and the right eye in per cent."""
    return (
        CLOSURE_LEFT.formatted(values.get(CLOSURE_LEFT.key)),
        CLOSURE_RIGHT.formatted(values.get(CLOSURE_RIGHT.key)),
    )
