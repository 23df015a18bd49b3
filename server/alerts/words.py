"""Texts of alerts and rules, in the reader's language. They report measurements only."""

from datetime import date, datetime, tzinfo

from django.utils.formats import number_format
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext, pgettext

from server.alerts.models import Alert, Kind, Rule, Why
from server.common.words import clock, in_words, weekday_and_day
from server.dashboard.metrics import BLINK_RATE, PERCLOS
from server.session_data.activity.words import compared_with

SHOWN = {Kind.BLINK_RATE: BLINK_RATE, Kind.PERCLOS: PERCLOS}
ISO_DAYS = "1234567"
# A range rule's `spread`, and what it means.
SENSITIVITIES = {
    1.0: gettext_lazy("When a day's value is outside the usual range."),
    1.5: gettext_lazy("When a day's value is outside a range 1.5 times as wide as usual."),
    2.0: gettext_lazy("When a day's value is outside a range twice as wide as usual."),
}


def moment(when: datetime, zone: tzinfo) -> str:
    """Return day and time, such as `"Sun 22 Nov, 10:15"`."""
    return f"{weekday_and_day(when.astimezone(zone).date())}, {clock(when, zone)}"


def heading(alert: Alert) -> str:
    """Return a short heading."""
    told = alert.measured
    match alert.kind:
        case Kind.DEVICE_SILENT:
            return _offline(alert)
        case Kind.NO_SESSION:
            return _("No session by %(time)s") % {"time": told["by"]}
        case Kind.LONG_CLOSURES:
            return _("Long closures during a session")
        case Kind.BLINK_RATE:
            return _("Blink rate outside the usual range")
        case Kind.RULES_ENDED:
            return _("Your rules have ended")
        case _:
            return _("PERCLOS outside the usual range")


def _offline(alert: Alert) -> str:
    """Return `"Kitchen has not been connected since 01:42"`, with the day if it was earlier."""
    if alert.resolved_at is not None:
        return _("%(device)s was not connected") % {"device": alert.measured["device"]}
    zone, since = alert.person.zone, datetime.fromisoformat(alert.measured["since"])
    same_day = alert.opened_at.astimezone(zone).date() == since.astimezone(zone).date()
    return _("%(device)s has not been connected since %(since)s") % {
        "device": alert.measured["device"],
        "since": clock(since, zone) if same_day else moment(since, zone),
    }


def sentence(alert: Alert) -> str:
    """Return what was measured and the rule's limit."""
    match alert.kind:
        case Kind.DEVICE_SILENT:
            return _silent(alert)
        case Kind.NO_SESSION:
            day = date.fromisoformat(alert.measured["day"])
            told = {"time": alert.measured["by"], "day": weekday_and_day(day)}
            return _("No session had arrived by %(time)s on %(day)s.") % told
        case Kind.LONG_CLOSURES:
            return _closures(alert)
        case Kind.RULES_ENDED:
            return _rules_ended(alert)
        case _:
            return _outside(alert)


def _rules_ended(alert: Alert) -> str:
    kinds = ", ".join(str(Kind(kind).label) for kind in alert.measured["kinds"])
    text = _("%(name)s no longer shares alerts with you. Your rules were deleted: %(kinds)s.")
    return text % {"name": alert.person.label, "kinds": kinds}


def _silent(alert: Alert) -> str:
    told = alert.measured
    return _(
        "The server received nothing from %(device)s after %(since)s, for longer than the rule's "
        "limit of %(span)s."
    ) % {
        "device": told["device"],
        "since": moment(datetime.fromisoformat(told["since"]), alert.person.zone),
        "span": in_words(told["minutes"] * 60),
    }


def advice(alert: Alert) -> str:
    """Return what to do about an open alert, in steps; empty if there is nothing to say."""
    if alert.kind != Kind.DEVICE_SILENT or alert.resolved_at is not None:
        return ""
    return _(
        "What to do:\n"
        "1. Power: is the device plugged in? Unplug it, wait ten seconds, plug it in again.\n"
        "2. Light: one short wink every three seconds means that the device works, two that "
        "sessions are unsent, three flashes a fault, dark no power.\n"
        "3. Network: does another device get on the internet through the same Wi-Fi?"
    )


def _closures(alert: Alert) -> str:
    told = alert.measured
    begun = moment(datetime.fromisoformat(told["started_at"]), alert.person.zone)
    if told["count"]:
        text = ngettext(
            "The session that began on %(begun)s has %(n)s long closure (half a second or longer).",
            "The session that began on %(begun)s has %(n)s long closures (half a second or "
            "longer).",
            told["count"],
        )
    else:  # the count was not measured
        text = _(
            "The session that began on %(begun)s has at least one long closure (half a "
            "second or longer)."
        )
    parts = [text % {"begun": begun, "n": told["count"]}]
    if told["longest_s"] is not None:
        parts.append(_("The longest lasted %(longest)s s.") % {"longest": _s(told["longest_s"])})
    parts.append(_limits(told["closures"], told["closure_s"]))
    return " ".join(parts)


def _limits(count: int | None, length_s: float | None) -> str:
    if count is not None and length_s is not None:
        told = {"n": count, "length": _s(length_s)}
        return _("The rule's limit is %(n)s of these, or one that lasts %(length)s s.") % told
    if count is not None:
        return _("The rule's limit is %(n)s of these.") % {"n": count}
    return _("The rule's limit is one that lasts %(length)s s.") % {"length": _s(length_s or 0)}


def _outside(alert: Alert) -> str:
    told, metric = alert.measured, SHOWN[Kind(alert.kind)]
    numbers = {name: metric.formatted(told[name]) for name in ("value", "low", "high")}
    text = _(
        "%(metric)s of the day, up to %(ended)s: %(value)s %(unit)s. The rule's range is %(low)s "
        "to %(high)s, from %(n)s days of the previous four weeks."
    ) % {
        **numbers,
        "metric": metric.name,
        "unit": metric.unit,
        "ended": moment(datetime.fromisoformat(told["ended_at"]), alert.person.zone),
        "n": told["days"],
    }
    if "activity" not in told:  # an alert from before activities were known
        return text
    return f"{text} {compared_with(told['activity'], told['days'])}"


def _s(seconds: float) -> str:
    return str(number_format(round(seconds, 1), 1))


def ending(alert: Alert) -> str:
    """Return a sentence that says why the alert is over; empty while it is open."""
    if alert.resolved_at is None or alert.kind == Kind.RULES_ENDED:
        return ""
    if alert.why != Why.CLEARED:
        return {
            Why.DAY_OVER: _("The day ended without a session."),
            Why.SESSION_OVER: _("The session ended, or the server received nothing more from it."),
            Why.OLD: _("There was no newer comparable session for a week."),
        }.get(Why(alert.why)) or _(
            "The rule was changed or deleted, or its device or permission was removed."
        )
    return {
        Kind.DEVICE_SILENT: _("The device is connected again."),
        Kind.NO_SESSION: _("A session for that day has arrived."),
    }.get(Kind(alert.kind)) or _("A newer value is within the range.")


# Rules


def day_names() -> list[tuple[str, str]]:
    """Return ISO digit and short name of each weekday, from Monday."""
    names = (_("Mon"), _("Tue"), _("Wed"), _("Thu"), _("Fri"), _("Sat"), _("Sun"))
    return list(zip(ISO_DAYS, map(str, names), strict=True))


def rule_sentence(rule: Rule) -> str:
    """Return a sentence that says when the rule opens an alert."""
    match rule.kind:
        case Kind.DEVICE_SILENT:
            span = in_words((rule.minutes or 0) * 60)
            return _("When a device has not been connected for longer than %(span)s.") % {
                "span": span
            }
        case Kind.NO_SESSION:
            return _("When there is no session by %(time)s (%(days)s).") % {
                "time": f"{rule.by:%H:%M}" if rule.by else "",
                "days": days_in_words(rule.weekdays),
            }
        case Kind.LONG_CLOSURES:
            about = _("During a session, when there are long closures (half a second or longer).")
            return f"{about} {_limits(rule.closures, rule.closure_s)}"
        case _:
            return str(SENSITIVITIES.get(rule.spread or 1, SENSITIVITIES[1]))


def days_in_words(weekdays: str) -> str:
    """Return `"every day"`, or the days' short names."""
    if weekdays == ISO_DAYS:
        return pgettext("of a rule", "every day")
    return ", ".join(name for digit, name in day_names() if digit in weekdays)
