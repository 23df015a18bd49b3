"""Format times, days and numbers in the reader's language and the measured person's time zone."""

from datetime import date, datetime, timedelta, tzinfo

from django.utils.formats import date_format, number_format
from django.utils.translation import gettext as _
from django.utils.translation import ngettext


def in_words(seconds: float) -> str:
    """Format a duration with at most two units: `"4 min 47 s"`, `"1 h 12 min"`."""
    whole = round(seconds)
    hours, minutes, rest = whole // 3600, whole % 3600 // 60, whole % 60
    if hours and not minutes:
        return _("%(hours)d h") % {"hours": hours}
    if hours:
        return _("%(hours)d h %(minutes)d min") % {"hours": hours, "minutes": minutes}
    if minutes and rest:
        return _("%(minutes)d min %(seconds)d s") % {"minutes": minutes, "seconds": rest}
    if minutes:
        return _("%(minutes)d min") % {"minutes": minutes}
    return _("%(seconds)d s") % {"seconds": rest}


def roughly(span: timedelta) -> str:
    """Format a duration with one unit, rounded down: `"12 minutes"`, `"3 hours"`, `"2 days"`."""
    minutes = max(int(span.total_seconds()), 0) // 60
    if minutes < 60:
        return ngettext("%(n)d minute", "%(n)d minutes", minutes) % {"n": minutes}
    hours = minutes // 60
    if hours < 48:
        return ngettext("%(n)d hour", "%(n)d hours", hours) % {"n": hours}
    return ngettext("%(n)d day", "%(n)d days", hours // 24) % {"n": hours // 24}


def day_name(day: date, today: date) -> str:
    """Return `"today"`, `"yesterday"` or the date, with the year if it isn't the current one."""
    if day == today:
        return _("today")
    if day == today - timedelta(days=1):
        return _("yesterday")
    return weekday_and_day(day) if day.year == today.year else long_day(day)


def short_day(day: date) -> str:
    """Format a day as `"22 Nov"`."""
    # Translators: a date format of Django's, "22 Nov"
    return date_format(day, _("j M"))


def weekday(day: date) -> str:
    """Format a day as `"Sun 22"`, for places where the month is clear."""
    # Translators: a date format of Django's, "Sun 22"
    return date_format(day, _("D j"))


def weekday_and_day(day: date) -> str:
    """Format a day as `"Sun 22 Nov"`."""
    # Translators: a date format of Django's, "Sun 22 Nov"
    return date_format(day, _("D j M"))


def long_day(day: date) -> str:
    """Format a day as `"Sunday 22 November 2026"`."""
    # Translators: a date format of Django's, "Sunday 22 November 2026"
    return date_format(day, _("l j F Y"))


def clock(moment: datetime, zone: tzinfo) -> str:
    """Format a time of day in `zone` as `"10:15"`: 24-hour in every language, as usual in care."""
    return moment.astimezone(zone).strftime("%H:%M")


def since_start(offset: timedelta) -> str:
    """Format an offset as `"+0:02:31"`, for sessions whose time of day can't be trusted."""
    seconds = int(offset.total_seconds())
    return f"+{seconds // 3600}:{seconds // 60 % 60:02}:{seconds % 60:02}"


def zone_words(zone: tzinfo, moment: datetime) -> str:
    """Return the zone's name and its UTC offset at `moment`: `"Europe/Berlin, UTC+1"`."""
    offset = moment.astimezone(zone).utcoffset() or timedelta()
    hours, minutes = divmod(abs(int(offset.total_seconds())) // 60, 60)
    sign = "−" if offset < timedelta() else "+"  # noqa: RUF001 a real minus
    utc = f"UTC{sign}{hours}" + (f":{minutes:02d}" if minutes else "") if offset else "UTC"
    name = str(getattr(zone, "key", "")).replace("_", " ")
    return f"{name}, {utc}" if name not in ("", utc) else utc


def number(value: float, decimals: int) -> str:
    """Format a rounded number in the reader's language: 28.999… is `"29"`.

    Django's `number_format` alone would truncate.
    """
    return number_format(round(value, decimals), decimals)


def signed(value: float, decimals: int) -> str:
    """Format a difference in the reader's language: `"+0.4"`, `"−1.2"`, `"±0"`."""  # noqa: RUF002
    rounded = round(value, decimals)
    sign = "±" if not rounded else "+" if rounded > 0 else "−"  # noqa: RUF001 a real minus
    return sign + number_format(abs(rounded), decimals)
