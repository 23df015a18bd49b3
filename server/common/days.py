"""Which day a session belongs to, and whether its dates can be believed."""

import zoneinfo
from datetime import UTC, date, datetime, timedelta, timezone, tzinfo

# Longer than any session: the two clock readings do not belong to one another.
LONGEST_SESSION = timedelta(hours=25)
# Local time is never further from UTC than this (zones reach from -12 to +14 h, solar time a bit
# further).
FURTHEST_ZONE = timedelta(hours=16)
# No session is older than the software. A Pi without a battery clock boots into 1970 or its image's
# date.
FIRST_YEAR = 2025
# A clock that is set may be ahead of the server's by its own error, not by more than a day.
AHEAD = timedelta(days=1)


def zone_of(name: str | None, utc_offset_minutes: int | None, otherwise: str) -> tzinfo:
    """The zone by name; by offset where this machine does not know the name; else `otherwise`."""
    if name and (zone := _known(name)):
        return zone
    if utc_offset_minutes is not None:
        return timezone(timedelta(minutes=utc_offset_minutes))
    return _known(otherwise) or UTC


def _known(name: str) -> tzinfo | None:
    try:
        return zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        return None


def is_one_session(started_at: datetime, ended_at: datetime | None) -> bool:
    """Whether start and end can be readings of one clock."""
    return ended_at is None or timedelta(0) <= ended_at - started_at <= LONGEST_SESSION


def local_day(started_at: datetime, ended_at: datetime | None, zone: tzinfo) -> date:
    """The day it ended in, or began in while it goes on or where its end can't be believed.

    So a session's start is always within `placed_within` of its day, and history can use its
    index.
    """
    told = ended_at if ended_at and is_one_session(started_at, ended_at) else started_at
    return told.astimezone(zone).date()


def placed_within(first: date, last: date) -> tuple[datetime, datetime]:
    """Between which moments every session of the local days `first` to `last` is placed."""
    begin = datetime.combine(first, datetime.min.time(), UTC) - FURTHEST_ZONE - LONGEST_SESSION
    end = datetime.combine(last, datetime.max.time(), UTC) + FURTHEST_ZONE
    return begin, end


def is_uncertain(
    started_at: datetime, ended_at: datetime | None, synchronized: bool | None, now: datetime
) -> bool:
    """Whether the dates may be wrong: the device's clock was not set, or they can't be true."""
    return (
        synchronized is not True
        or started_at.year < FIRST_YEAR
        or max(started_at, ended_at or started_at) > now + AHEAD
        or not is_one_session(started_at, ended_at)
    )
