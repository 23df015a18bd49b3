"""Times and days in words, in the reader's language and the measured person's zone."""

from datetime import date, datetime, timedelta, tzinfo

from django.utils.formats import date_format, number_format
from django.utils.translation import gettext as _
from django.utils.translation import ngettext


def in_words(seconds: float) -> str:
    """`"4 min 47 s"`, `"1 h 12 min"`: two units at most, in whole numbers."""
    whole = round(seconds)
    hours, minutes, rest = whole // 3600, whole % 3600 // 60, whole % 60
    if hours:
        return _("%(hours)d h %(minutes)d min") % {"hours": hours, "minutes": minutes}
    if minutes and rest:
        return _("%(minutes)d min %(seconds)d s") % {"minutes": minutes, "seconds": rest}
    if minutes:
        return _("%(minutes)d min") % {"minutes": minutes}
    return _("%(seconds)d s") % {"seconds": rest}


def roughly(span: timedelta) -> str:
    """`"12 minutes"`, `"3 hours"`, `"2 days"`: one unit, rounded down."""
    minutes = max(int(span.total_seconds()), 0) // 60
    if minutes < 60:
        return ngettext("%(n)d minute", "%(n)d minutes", minutes) % {"n": minutes}
    hours = minutes // 60
    if hours < 48:
        return ngettext("%(n)d hour", "%(n)d hours", hours) % {"n": hours}
    return ngettext("%(n)d day", "%(n)d days", hours // 24) % {"n": hours // 24}


def day_name(day: date, today: date) -> str:
    """`"today"`, `"yesterday"` or the day itself, with its year where that is another one."""
    if day == today:
        return _("today")
    if day == today - timedelta(days=1):
        return _("yesterday")
    return weekday_and_day(day) if day.year == today.year else long_day(day)


def short_day(day: date) -> str:
    """`"22 Nov"`."""
    # Translators: a date format of Django's, "22 Nov"
    return date_format(day, _("j M"))


def weekday(day: date) -> str:
    """`"Sun 22"`, where the month is clear."""
    # Translators: a date format of Django's, "Sun 22"
    return date_format(day, _("D j"))


def weekday_and_day(day: date) -> str:
    """`"Sun 22 Nov"`."""
    # Translators: a date format of Django's, "Sun 22 Nov"
    return date_format(day, _("D j M"))


def long_day(day: date) -> str:
    """`"Sunday 22 November 2026"`."""
    # Translators: a date format of Django's, "Sunday 22 November 2026"
    return date_format(day, _("l j F Y"))


def clock(moment: datetime, zone: tzinfo) -> str:
    """`"10:15"` in that zone; 24 hours in every language, as is usual in care."""
    return moment.astimezone(zone).strftime("%H:%M")


def since_start(offset: timedelta) -> str:
    """`"+0:02:31"`: for what has no time of day one could believe."""
    seconds = int(offset.total_seconds())
    return f"+{seconds // 3600}:{seconds // 60 % 60:02}:{seconds % 60:02}"


def zone_words(zone: tzinfo, moment: datetime) -> str:
    """`"Europe/Berlin, UTC+1"`: the name and what it meant at that moment."""
    offset = moment.astimezone(zone).utcoffset() or timedelta()
    hours, minutes = divmod(abs(int(offset.total_seconds())) // 60, 60)
    sign = "−" if offset < timedelta() else "+"  # noqa: RUF001 a real minus
    utc = f"UTC{sign}{hours}" + (f":{minutes:02d}" if minutes else "") if offset else "UTC"
    name = str(getattr(zone, "key", "")).replace("_", " ")
    return f"{name}, {utc}" if name not in ("", utc) else utc


def number(value: float, decimals: int) -> str:
    """`"29"` of 28.999…: rounded, in the reader's language. Django's own would cut it off."""
    return number_format(round(value, decimals), decimals)


def signed(value: float, decimals: int) -> str:
    """`"+0.4"`, `"−1.2"`, `"±0"`: a difference, in the reader's language."""  # noqa: RUF002
    rounded = round(value, decimals)
    sign = "±" if not rounded else "+" if rounded > 0 else "−"  # noqa: RUF001 a real minus
    return sign + number_format(abs(rounded), decimals)
