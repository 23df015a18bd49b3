"""Names of activities in the reader's language."""

from collections.abc import Mapping

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy, ngettext, pgettext_lazy

from server.session_data.models import Activity

NAMES: Mapping[str, str | Promise] = {
    Activity.READING: gettext_lazy("Reading"),
    Activity.SCREEN: gettext_lazy("Screen"),
    Activity.TALKING: gettext_lazy("Talking"),
    Activity.EATING: gettext_lazy("Eating"),
    Activity.RESTING: gettext_lazy("Resting"),
    Activity.OTHER: pgettext_lazy("activity", "Other"),
}


def name_of(activity: str | None) -> str:
    """Return the activity's name; empty without one."""
    return str(NAMES[activity]) if activity and activity in NAMES else ""


# As in "23 days of reading".
_DAYS_OF: Mapping[str, str | Promise] = {
    Activity.READING: pgettext_lazy("days of", "reading"),
    Activity.SCREEN: pgettext_lazy("days of", "screen use"),
    Activity.TALKING: pgettext_lazy("days of", "talking"),
    Activity.EATING: pgettext_lazy("days of", "eating"),
    Activity.RESTING: pgettext_lazy("days of", "resting"),
    Activity.OTHER: pgettext_lazy("days of", "other activities"),
}


def compared_with(activity: str | None, days: int) -> str:
    """Return with what a value is compared: days of an activity, or all sessions."""
    if activity is None or activity not in _DAYS_OF:
        text = ngettext(
            "Compared with all sessions of %(n)d day.",
            "Compared with all sessions of %(n)d days.",
            days,
        )
        return text % {"n": days}
    text = ngettext(
        "Compared with %(n)d day of %(activity)s.",
        "Compared with %(n)d days of %(activity)s.",
        days,
    )
    return text % {"n": days, "activity": _DAYS_OF[activity]}
