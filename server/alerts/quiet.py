"""Quiet hours: times of day in the receiver's own zone, over midnight where they begin later."""

from datetime import datetime, time, timedelta, tzinfo


def quiet_until(now: datetime, zone: tzinfo, begin: time | None, end: time | None) -> datetime:
    """When it may ring: `now`, or the end of the quiet hours that it falls into."""
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
