"""Find the day that a session belongs to, and check whether its dates can be trusted."""

import zoneinfo
from datetime import UTC, date, datetime, timedelta, timezone, tzinfo
from functools import cache

from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

# Longer than any session. A longer span means that the clock was set in between.
LONGEST_SESSION = timedelta(hours=25)
# Local time is never further from UTC than this (zones reach from -12 to +14 h, solar time a bit
# further).
FURTHEST_ZONE = timedelta(hours=16)
# No session is older than the software. A Pi without a battery-backed clock boots with a date of
# 1970 or that of its image.
FIRST_YEAR = 2025
# A synchronised clock may be slightly ahead of the server's, but never by more than a day.
AHEAD = timedelta(days=1)
# Where zones of places are. Other names are links to these, or offsets without a place.
CONTINENTS = (
    "Africa", "America", "Antarctica", "Arctic", "Asia", "Atlantic", "Australia", "Europe",
    "Indian", "Pacific",
)  # fmt: skip


# Files beside the zones that are none: the time of the machine that reads them, and the unset time.
_NO_ZONES = {"localtime", "Factory"}


@cache
def known_zones() -> frozenset[str]:
    """Return the names of the IANA zones that this machine knows, spelled as IANA does."""
    return frozenset(zoneinfo.available_timezones() - _NO_ZONES)


def zone_of(name: str | None, utc_offset_minutes: int | None, otherwise: str) -> tzinfo:
    """Return the time zone called `name`.

    If the name is missing or not a zone that this machine knows, return a fixed offset from UTC in
    minutes; without that, the zone called `otherwise`, or UTC.
    """
    if name and (zone := _known(name)):
        return zone
    if utc_offset_minutes is not None:
        return timezone(timedelta(minutes=utc_offset_minutes))
    return _known(otherwise) or UTC


def _known(name: str) -> tzinfo | None:
    try:
        return zoneinfo.ZoneInfo(name) if name in known_zones() else None
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):  # changed since it was listed
        return None


def validate_timezone(name: str) -> None:
    """Raise `ValidationError` if this machine doesn't know an IANA zone of this name."""
    if name not in known_zones():
        raise ValidationError(
            _("“%(name)s” is not a time zone. Use a name like Europe/Berlin."),
            params={"name": name},
        )


@cache
def zone_names() -> tuple[str, ...]:
    """Return UTC and the zones of places, in alphabetical order."""
    known = zoneinfo.available_timezones()
    return ("UTC", *sorted(name for name in known if name.partition("/")[0] in CONTINENTS))


def zone_choices(current: str = "") -> list[tuple[str, str]]:
    """Return values and labels for a form. `current` stays, even if it is not a place."""
    names = zone_names()
    extra = (current,) if current and current not in names else ()
    return [(name, name.replace("_", " ")) for name in (*extra, *names)]


def is_one_session(started_at: datetime, ended_at: datetime | None) -> bool:
    """Return whether start and end can belong to one session: no clock change in between."""
    return ended_at is None or timedelta(0) <= ended_at - started_at <= LONGEST_SESSION


def local_day(started_at: datetime, ended_at: datetime | None, zone: tzinfo) -> date:
    """Return the local day on which the session ended.

    If it is still running, or its end can't be trusted, return the day on which it started. A
    session's start therefore always lies within `placed_within` of its day, so that history
    queries can use the index on it.
    """
    moment = ended_at if ended_at and is_one_session(started_at, ended_at) else started_at
    return moment.astimezone(zone).date()


def placed_within(first: date, last: date) -> tuple[datetime, datetime]:
    """Return the earliest and latest start of any session of the local days `first` to `last`."""
    begin = datetime.combine(first, datetime.min.time(), UTC) - FURTHEST_ZONE - LONGEST_SESSION
    end = datetime.combine(last, datetime.max.time(), UTC) + FURTHEST_ZONE
    return begin, end


def is_uncertain(
    started_at: datetime, ended_at: datetime | None, synchronized: bool | None, now: datetime
) -> bool:
    """Return whether the dates may be wrong: unsynchronised clock, or impossible dates."""
    return (
        synchronized is not True
        or started_at.year < FIRST_YEAR
        or max(started_at, ended_at or started_at) > now + AHEAD
        or not is_one_session(started_at, ended_at)
    )
