"""Sentences on a session's page about each eye and about the gaze."""

from django.utils.translation import gettext as _

from server.dashboard.in_a_session.blinks import Columns
from server.dashboard.metrics import CLOSURE_LEFT, CLOSURE_RIGHT, LOOKING_DOWN, Values

# Eyes that close do so by 0.65 to 0.95, so two of them hardly differ by more than this.
CLEAR_DIFFERENCE = 0.25
# The median of fewer blinks depends too much on individual ones.
BLINKS_TO_COMPARE = 10


def eye_lines(values: Values, columns: Columns | None) -> list[str]:
    """Return the sentences for a session with these metrics and columns of blinks."""
    looking_down = LOOKING_DOWN.formatted(values.get(LOOKING_DOWN.key))
    gaze = _("Looking down %(share)s %% of the time.") % {"share": looking_down}
    return [*_closing(values, columns), *([gaze] if looking_down is not None else [])]


def _closing(values: Values, columns: Columns | None) -> list[str]:
    """Return a sentence on each eye's closure if both are known, and on which one closes less."""
    left, right = (values.get(metric.key) for metric in (CLOSURE_LEFT, CLOSURE_RIGHT))
    if left is None or right is None:
        return []
    sentence = _(
        "In a typical blink the left eye closes by %(left)s %%, the right by %(right)s %%."
    )
    said = [
        sentence % {"left": CLOSURE_LEFT.formatted(left), "right": CLOSURE_RIGHT.formatted(right)}
    ]
    if blinks_of_both(values, columns) >= BLINKS_TO_COMPARE:
        said += _clear_difference(left, right)
    return [" ".join(said)]


def _clear_difference(left: float, right: float) -> list[str]:
    if left - right >= CLEAR_DIFFERENCE:
        return [_("The right eye closed less than the left.")]
    if right - left >= CLEAR_DIFFERENCE:
        return [_("The left eye closed less than the right.")]
    return []


def blinks_of_both(values: Values, columns: Columns | None) -> float:
    """Return the number of blinks in which both eyes were seen; all blinks during a session."""
    left, right = ((columns or {}).get(name) for name in ("closure_left", "closure_right"))
    if left is None or right is None:
        return values.get("blink_count") or 0
    return sum(None not in pair for pair in zip(left, right, strict=True))
