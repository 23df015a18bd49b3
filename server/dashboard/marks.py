"""What a reader has to know about a session before its numbers: marks with one line each."""

from dataclasses import dataclass
from datetime import datetime

from django.utils.translation import gettext as _

from server.common.words import clock, in_words, long_day, roughly
from server.dashboard.rows import SessionRow


@dataclass(frozen=True)
class Mark:
    """`kind` is its class in the style sheet, `text` what it says, `about` the longer line."""

    kind: str
    text: str
    about: str


def marks_of(row: SessionRow, now: datetime) -> list[Mark]:
    """The marks of one session, the most urgent first."""
    found = [_live(row, now), _uncertain(row), _interrupted(row), _short(row)]
    return [mark for mark in found if mark]


def _live(row: SessionRow, now: datetime) -> Mark | None:
    if not row.active:
        return None
    if silent := row.silent_for(now):
        about = _(
            "The session has not been ended, but nothing was heard of it for %(time)s. What was "
            "measured since then arrives when the device is back."
        ) % {"time": roughly(silent)}
        return Mark("silent", _("silent for %(time)s") % {"time": roughly(silent)}, about)
    return Mark("live", _("live"), _("This session is going on now."))


def _uncertain(row: SessionRow) -> Mark | None:
    if not row.date_uncertain:
        return None
    about = _(
        "The device did not know the time when it measured this. The session is shown on the day "
        "it arrived here; by its device's clock it began on %(day)s at %(clock)s. It is in no "
        "figure of days."
    ) % {
        "day": long_day(row.started_at.astimezone(row.zone).date()),
        "clock": clock(row.started_at, row.zone),
    }
    return Mark("uncertain", _("date uncertain"), about)


def _interrupted(row: SessionRow) -> Mark | None:
    if row.state != "interrupted":
        return None
    about = _("Nobody ended this session: %(why)s. What was measured until then is here.")
    return Mark("interrupted", _("interrupted"), about % {"why": ended_by(row)})


def _short(row: SessionRow) -> Mark | None:
    if row.active or not row.short:
        return None
    if not row.values.get("valid_s"):
        return Mark("short", _("eyes not seen"), _("The eyes were not seen in this session."))
    about = _(
        "Only %(time)s were measured. A rate needs three minutes or more, so this session is left "
        "out of the medians."
    ) % {"time": in_words(int(row.values.get("valid_s") or 0))}  # 179.6 s are not three minutes
    return Mark("short", _("short"), about)


def ended_by(row: SessionRow) -> str:
    """How the session came to its end, in words that fit into a sentence."""
    ways = {
        "button": _("ended with the button"),
        "command": _("ended from afar"),
        "time_limit": _("ended at the time limit"),
        "power_loss": _("the device lost power"),
        "camera_fault": _("the camera failed"),
    }
    return ways.get(row.ended_by or "", _("the device did not say why it ended"))
