"""How each metric is computed, in one line that can be read, and where that comes from.

docs/measuring.md says the same for developers; a test compares the numbers.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext_lazy as _

from server.dashboard.metrics import METRICS, Metric, Text


@dataclass(frozen=True)
class Source:
    """A publication: how it is cited, what it is, and its address, if it is on the web."""

    key: str
    cited: str
    title: str
    address: str = ""


SOUKUPOVA = Source(
    "soukupova-2016",
    "Soukupová & Čech 2016",
    "Real-Time Eye Blink Detection using Facial Landmarks. 21st Computer Vision Winter Workshop",
)
DOUGHTY_2001 = Source(
    "doughty-2001",
    "Doughty 2001",
    "PubMed 11700965",
    "https://pubmed.ncbi.nlm.nih.gov/11700965/",
)
DOUGHTY_2002 = Source(
    "doughty-2002",
    "Doughty 2002",
    "PubMed 12137399",
    "https://pubmed.ncbi.nlm.nih.gov/12137399/",
)
CAFFIER = Source(
    "caffier-2003",
    "Caffier et al. 2003",
    "PubMed 12736840",
    "https://pubmed.ncbi.nlm.nih.gov/12736840/",
)
OUSLER = Source(
    "ousler-2014",
    "Ousler et al. 2014",
    "PMC4015796",
    "https://pmc.ncbi.nlm.nih.gov/articles/PMC4015796/",
)
ABE = Source(
    "abe-2023", "Abe 2023", "PMC10108649", "https://pmc.ncbi.nlm.nih.gov/articles/PMC10108649/"
)
HAHN = Source("hahn-1991", "Hahn & Meeker 1991", "Statistical Intervals. Wiley")
CONOVER = Source("conover-1999", "Conover 1999", "Practical Nonparametric Statistics. Wiley")
SOURCES = (ABE, CAFFIER, CONOVER, DOUGHTY_2001, DOUGHTY_2002, HAHN, OUSLER, SOUKUPOVA)


@dataclass(frozen=True)
class Formula:
    """A formula in words and signs, what its parts mean, and its source."""

    text: Text
    where: Text = ""
    source: Source | None = None


CLOSURE = _(
    "closure = (1 − EAR ÷ EAR of the open eyes) ÷ the person's own depth of a blink. Looking down "
    "is left out."
)
OF_ONE_EYE = _("the mean of that eye's EAR while it is open")
CLOSURE_OF_ONE_EYE = Formula(
    _("the median of 1 − lowest EAR ÷ EAR just before and after"),
    _("Of that eye, over all blinks in which it was visible."),
)
FORMULAS: Mapping[str, Formula] = {
    "duration_s": Formula(_("time of the last frame − time of the first frame")),
    "valid_s": Formula(
        _("the sum of the times between two frames in a row that both show a face"),
        _("Each of these times counts as 0.25 s at most."),
    ),
    "coverage": Formula(_("100 % × measured time ÷ length")),
    "blink_rate_per_min": Formula(_("60 × blinks ÷ measured time in seconds"), source=DOUGHTY_2001),
    "blink_count": Formula(
        _("the number of complete and partial blinks"), _("Long closures are not counted.")
    ),
    "partial_blink_count": Formula(
        _("the number of blinks whose depth is less than 0.85 of the person's own"), source=OUSLER
    ),
    "inter_blink_interval_median_s": Formula(
        _("the median of start of a blink − start of the blink before"),
        _("Two blinks between which the face was not visible for over 0.5 s are left out."),
        DOUGHTY_2002,
    ),
    "blink_duration_median_ms": Formula(
        _("the median of time half reopened − time half closed"), source=CAFFIER
    ),
    "blink_duration_p90_ms": Formula(
        _("the 0.9 quantile of time half reopened − time half closed"), source=CAFFIER
    ),
    "long_closure_count": Formula(
        _("the number of times with a closure of 0.8 or more for 0.5 s or longer"),
        CLOSURE,
        OUSLER,
    ),
    "longest_closure_s": Formula(
        _("the longest of time half reopened − time half closed"),
        _("Of the long closures."),
        CAFFIER,
    ),
    "perclos": Formula(
        _("100 % × time with a closure of 0.8 or more ÷ measured time"), CLOSURE, ABE
    ),
    "looking_down": Formula(_("100 % × time spent looking down ÷ measured time")),
    "ear_mean": Formula(
        "EAR = (|p2 − p6| + |p3 − p5|) ÷ (2 × |p1 − p4|)",
        _(
            "|p2 − p6| is the distance between two points of the eye's outline. The value is the "
            "mean of both eyes over the measured time."
        ),
        SOUKUPOVA,
    ),
    "ear_open": Formula(_("the mean of the EAR while the eyes are open")),
    "ear_open_left": Formula(OF_ONE_EYE),
    "ear_open_right": Formula(OF_ONE_EYE),
    "blink_closure_left_median": CLOSURE_OF_ONE_EYE,
    "blink_closure_right_median": CLOSURE_OF_ONE_EYE,
}
USUAL_RANGE = Formula(
    "(mean(r) ± t × sd(r) × √(1 + 1 ÷ n))²",
    _(
        "r are the square roots of the values of n days, sd is their standard deviation, and t is "
        "the 0.975 quantile of Student's t distribution with n − 1 degrees of freedom."
    ),
    HAHN,
)
EYES_DIFFER = Formula(
    _("the 99 % interval of the median of (right − left) is above 0.2, or below −0.2"),
    _(
        "Left and right are the closures of the two eyes in the same blink, from 0 to 1, over all "
        "blinks in which both were visible, at least 10. The interval is that of the sign test."
    ),
    CONOVER,
)


def definitions() -> Sequence[tuple[Metric, Formula]]:
    """Return each metric with its formula, in the order in which the pages show them."""
    return [(metric, FORMULAS[metric.key]) for metric in METRICS]


def everything() -> dict[str, Any]:
    """Return the template context of the help page: all formulas and their sources."""
    return {
        "definitions": definitions(),
        "usual": USUAL_RANGE,
        "eyes_differ": EYES_DIFFER,
        "sources": SOURCES,
    }
