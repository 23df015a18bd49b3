"""Quiet hours: times of day in the receiver's time zone; they may span midnight."""

from datetime import datetime, time, timedelta, tzinfo


def quiet_until(now: datetime, zone: tzinfo, begin: time | None, end: time | None) -> datetime:
    """Return when a notification may be sent: `now`, or the end of the current quiet hours."""
    if begin is None or end is None or begin == end:
        return now
    local = now.astimezone(zone)
    told = local.time()
    if begin < end:
        quiet, days = begin <= told < end, 0
    else:
        quiet, days = told >= begin or told < end, int(told >= begin)
    if not quiet:
        return now
    return datetime.combine(local.date() + timedelta(days=days), end, zone)
