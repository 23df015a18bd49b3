"""Sentences on a session's page about the times when the light asked for blinks."""

from collections.abc import Mapping
from statistics import median
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from server.dashboard.metrics import BLINK_RATE
from server.session_data.serializers import readable_part


def reminder_lines(document: Mapping[str, Any]) -> list[str]:
    """Return how often the light asked, and the rates before and after; nothing if it did not."""
    reminders = readable_part(document, "reminders")
    if not reminders or not reminders["at_s"]:
        return []
    times = len(reminders["at_s"])
    said = ngettext(
        "The light asked for blinks once.", "The light asked for blinks %(times)d times.", times
    ) % {"times": times}
    before = BLINK_RATE.formatted(median(reminders["rate_before_per_min"]))
    known = [rate for rate in reminders["rate_after_per_min"] if rate is not None]
    if not known:
        text = _(
            "Median blink rate in the three minutes before: %(before)s a minute; after: unknown."
        )
        return [f"{said} {text % {'before': before}}"]
    text = _(
        "Median blink rate in the three minutes before: %(before)s a minute; after: %(after)s."
    )
    after = BLINK_RATE.formatted(median(known))
    return [f"{said} {text % {'before': before, 'after': after}}"]
