"""The metrics as shown to people: name, unit, explanation, and why a value may be missing."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from django.utils.formats import number_format
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from server.common.words import in_words, number

Text = str | Promise
Values = Mapping[str, float | None]

# Minimum frame rates for timing and for counting blinks, as in the session document.
FPS_FOR_DURATIONS = 15
FPS_FOR_COUNTS = 10


NEEDED: Mapping[str, Text] = {
    "nothing": gettext_lazy("Always measured."),
    "face": gettext_lazy("Needs visible eyes."),
    "counts": gettext_lazy("Needs visible eyes and at least 10 frames per second."),
    "durations": gettext_lazy("Needs visible eyes and at least 15 frames per second."),
}


@dataclass(frozen=True)
class Metric:
    """One value of a session.

    `scale` converts the stored value to the shown one, such as a share to percent. `needs` is the
    precondition of measuring it: a face, 10 frames per second to count, 15 to time. `is_time`
    shows seconds as hours, minutes and seconds. `is_optional` metrics are not sent by older
    devices and are shown only if measured.
    """

    key: str
    name: Text
    unit: Text
    explanation: Text
    decimals: int = 0
    scale: float = 1
    needs: Literal["nothing", "face", "counts", "durations"] = "face"
    is_time: bool = False
    is_optional: bool = False

    @property
    def needed(self) -> Text:
        """What measuring it needs, in a sentence."""
        return NEEDED[self.needs]

    def formatted(self, value: float | None) -> str | None:
        """Format a value in the reader's language, without unit; `None` stays `None`."""
        if value is None:
            return None
        if self.is_time:
            return in_words(value)
        return number(value * self.scale, self.decimals)


@dataclass(frozen=True)
class Reading:
    """A metric in one session: the formatted `value`, or the `reason` why it is missing."""

    metric: Metric
    value: str | None
    reason: str | None


BLINK_RATE = Metric(
    "blink_rate_per_min",
    gettext_lazy("Blink rate"),
    gettext_lazy("blinks/min"),
    gettext_lazy(
        "Blinks per minute in which the eyes were visible. The rate depends on the activity: "
        "lower when reading, higher when talking."
    ),
    decimals=1,
    needs="counts",
)
EAR = Metric(
    "ear_mean",
    gettext_lazy("Eye aspect ratio"),
    gettext_lazy("EAR"),
    gettext_lazy(
        "EAR: the average height of the open eye divided by its width. It differs between "
        "people, so compare it only with values of the same person."
    ),
    decimals=3,
)
PERCLOS = Metric(
    "perclos",
    gettext_lazy("PERCLOS"),
    gettext_lazy("% of time"),
    gettext_lazy("Share of the measured time in which the eyes were closed by at least 80 %."),
    decimals=1,
    scale=100,
)
LONG_CLOSURES = Metric(
    "long_closure_count",
    gettext_lazy("Long closures"),
    "",
    gettext_lazy(
        "How often the eyes stayed closed for half a second or longer. These do not count as "
        "blinks."
    ),
    needs="counts",
)
COVERAGE = Metric(
    "coverage",
    gettext_lazy("Coverage"),
    gettext_lazy("% measured"),
    gettext_lazy("Share of the session in which the eyes were visible and measured."),
    scale=100,
    needs="nothing",
)
MEASURED = Metric(
    "valid_s",
    gettext_lazy("Measured time"),
    "",
    gettext_lazy("How long the eyes were visible. Rates and shares refer only to this time."),
    needs="nothing",
    is_time=True,
)
CLOSURE_LEFT = Metric(
    "blink_closure_left_median",
    gettext_lazy("Left eye closure"),
    "%",
    gettext_lazy(
        "How far the person's left eye closes in a typical blink (median). An eye that closes "
        "reaches 65 to 95 %; an eye that does not move stays near 0 %."
    ),
    scale=100,
    needs="counts",
    is_optional=True,
)
CLOSURE_RIGHT = Metric(
    "blink_closure_right_median",
    gettext_lazy("Right eye closure"),
    "%",
    gettext_lazy(
        "How far the person's right eye closes in a typical blink (median). An eye that closes "
        "reaches 65 to 95 %; an eye that does not move stays near 0 %."
    ),
    scale=100,
    needs="counts",
    is_optional=True,
)
LOOKING_DOWN = Metric(
    "looking_down",
    gettext_lazy("Looking down"),
    gettext_lazy("% of time"),
    gettext_lazy(
        "Share of the measured time spent looking down. This time counts towards neither PERCLOS "
        "nor long closures."
    ),
    scale=100,
    is_optional=True,
)

METRICS = (
    Metric(
        "duration_s",
        gettext_lazy("Length"),
        "",
        gettext_lazy("From start to end."),
        needs="nothing",
        is_time=True,
    ),
    MEASURED,
    COVERAGE,
    BLINK_RATE,
    Metric(
        "blink_count",
        gettext_lazy("Blinks"),
        "",
        gettext_lazy(
            "How often the eyes closed and opened again within half a second. Includes "
            "complete and partial blinks."
        ),
        needs="counts",
    ),
    Metric(
        "partial_blink_count",
        gettext_lazy("Partial blinks"),
        "",
        gettext_lazy(
            "Blinks in which the lids did not close completely. About half of all blinks can "
            "be partial."
        ),
        needs="counts",
    ),
    Metric(
        "inter_blink_interval_median_s",
        gettext_lazy("Time between blinks"),
        gettext_lazy("s"),
        gettext_lazy(
            "The median: half of the intervals between two blinks were shorter, half were longer."
        ),
        decimals=1,
        needs="counts",
    ),
    Metric(
        "blink_duration_median_ms",
        gettext_lazy("Blink duration"),
        gettext_lazy("ms"),
        gettext_lazy("The median time from closing to reopening, in milliseconds."),
        needs="durations",
    ),
    Metric(
        "blink_duration_p90_ms",
        gettext_lazy("Slowest blinks"),
        gettext_lazy("ms"),
        gettext_lazy("One blink in ten took longer than this."),
        needs="durations",
    ),
    LONG_CLOSURES,
    Metric(
        "longest_closure_s",
        gettext_lazy("Longest closure"),
        gettext_lazy("s"),
        gettext_lazy("The longest time the eyes stayed closed."),
        decimals=1,
        needs="durations",
    ),
    PERCLOS,
    LOOKING_DOWN,
    EAR,
    Metric(
        "ear_open",
        gettext_lazy("Eye aspect ratio, open"),
        gettext_lazy("EAR"),
        gettext_lazy("This person's own value with the eyes open, determined during the session."),
        decimals=3,
    ),
    Metric(
        "ear_open_left",
        gettext_lazy("Eye aspect ratio, left eye open"),
        gettext_lazy("EAR"),
        gettext_lazy("The value of the person's left eye when it is open."),
        decimals=3,
        is_optional=True,
    ),
    Metric(
        "ear_open_right",
        gettext_lazy("Eye aspect ratio, right eye open"),
        gettext_lazy("EAR"),
        gettext_lazy("The value of the person's right eye when it is open."),
        decimals=3,
        is_optional=True,
    ),
    CLOSURE_LEFT,
    CLOSURE_RIGHT,
)


def readings(values: Values, fps: float | None, active: bool) -> list[Reading]:
    """Return all metrics of one session, in display order."""
    shown = (m for m in METRICS if not m.is_optional or values.get(m.key) is not None)
    return [reading(metric, values, fps, active) for metric in shown]


def reading(metric: Metric, values: Values, fps: float | None, active: bool) -> Reading:
    """Return one metric of one session."""
    text = metric.formatted(values.get(metric.key))
    if text is not None:
        return Reading(metric, text, None)
    return Reading(metric, None, why_missing(metric, values, fps, active))


def why_missing(metric: Metric, values: Values, fps: float | None, active: bool) -> str | None:
    """Return why `metric` is missing, or `None` if the other values don't show it."""
    if metric.needs != "nothing" and values.get("valid_s") == 0:
        return _("The eyes were not seen.")
    needed = {"counts": FPS_FOR_COUNTS, "durations": FPS_FOR_DURATIONS}.get(metric.needs, 0)
    if fps is not None and fps < needed:
        return _(
            "The camera delivered %(fps)s frames per second; at least %(needed)d are needed."
        ) % {
            "fps": number_format(fps, 1),  # truncated: 14.96 is less than the required 15
            "needed": needed,
        }
    if metric.key == "longest_closure_s" and values.get("long_closure_count") == 0:
        return _("There were no long closures.")
    return _too_few_blinks(metric.key, values.get("blink_count")) or (
        _("Not known yet.") if active else None
    )


def _too_few_blinks(key: str, blinks: float | None) -> str | None:
    """Return the reason if a median is missing because there were too few blinks."""
    if key.startswith("blink_duration") and blinks == 0:
        return _("There were no blinks.")
    if key.startswith("inter_blink") and blinks is not None and blinks < 2:
        return _("There were fewer than two blinks.")
    return None
