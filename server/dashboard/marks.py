"""Marks on a session that a reader should know before reading its values."""

from dataclasses import dataclass
from datetime import datetime

from django.utils.translation import gettext as _

from server.common.words import clock, in_words, long_day, roughly
from server.dashboard.rows import SessionRow
from server.session_data.summary.statistics import SHORT_VALID_S


@dataclass(frozen=True)
class Mark:
    """One mark. `kind` is its CSS class, `text` the label, `about` the explanation."""

    kind: str
    text: str
    about: str


def marks_of(row: SessionRow, now: datetime) -> list[Mark]:
    """Return the marks of one session, the most important first."""
    if row.state == "check":
        about = _("A check of the counting. It is not part of any statistic.")
        return [Mark("short", _("check"), about)]
    if row.state == "somebody_else":
        about = _(
            "Somebody else was measured here. The session is not part of any statistic or alert."
        )
        return [Mark("short", _("somebody else"), about)]
    found = [_live(row, now), _uncertain(row), _interrupted(row), _short(row)]
    return [mark for mark in found if mark]


def _live(row: SessionRow, now: datetime) -> Mark | None:
    if not row.active:
        return None
    if silent := row.silent_for(now):
        about = _(
            "This session is still open, but the server has received nothing for %(time)s. "
            "Anything measured since then arrives when the device reconnects."
        ) % {"time": roughly(silent)}
        return Mark("silent", _("no signal for %(time)s") % {"time": roughly(silent)}, about)
    return Mark("live", _("live"), _("This session is in progress."))


def _uncertain(row: SessionRow) -> Mark | None:
    if not row.date_uncertain:
        return None
    about = _(
        "The device did not know the correct time during this session. The session is shown "
        "on the day it arrived; by the device's clock, it began on %(day)s at %(clock)s. It "
        "does not count in the daily values."
    ) % {
        "day": long_day(row.started_at.astimezone(row.zone).date()),
        "clock": clock(row.started_at, row.zone),
    }
    return Mark("uncertain", _("date uncertain"), about)


def _interrupted(row: SessionRow) -> Mark | None:
    if row.state != "interrupted":
        return None
    about = _("This session was interrupted: %(why)s. The data measured until then is shown here.")
    return Mark("interrupted", _("interrupted"), about % {"why": ended_by(row)})


def _short(row: SessionRow) -> Mark | None:
    if row.active or not row.short:
        return None
    if not row.values.get("valid_s"):
        return Mark("short", _("eyes not seen"), _("The eyes were not seen in this session."))
    seconds = round(row.values["valid_s"] or 0)
    about = _(
        "Only %(time)s were measured. A rate needs at least three minutes, so this session "
        "does not count towards the medians."
    )
    if seconds >= SHORT_VALID_S:  # 179.6 s are shown as three minutes everywhere
        about = _(
            "Slightly less than %(time)s were measured. A rate needs at least three minutes, so "
            "this session does not count towards the medians."
        )
    return Mark("short", _("short"), about % {"time": in_words(seconds)})


def ended_by(row: SessionRow) -> str:
    """Return why the session ended, as part of a sentence."""
    ways = {
        "button": _("stopped with the button"),
        "command": _("stopped remotely"),
        "time_limit": _("stopped at the time limit"),
        "power_loss": _("the device lost power"),
        "camera_fault": _("the camera failed"),
    }
    return ways.get(row.ended_by or "", _("ended for an unknown reason"))
