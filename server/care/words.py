"""Format permissions, access log and audit log in the reader's language and time zone."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime, tzinfo
from uuid import UUID

from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from server.care.models import AccessLog, AuditEntry, AuditEvent, Permission, Person
from server.common.words import clock, day_name

# `note_look`'s `what` -> text to show. One that is missing here is shown as it is.
LOOKS = {
    "people": gettext_lazy("Your card in the overview"),
    "history": gettext_lazy("Your history"),
    "live": gettext_lazy("Your live status"),
    "summary": gettext_lazy("Your summary"),
    "session": gettext_lazy("A session"),
    "notes": gettext_lazy("Your notes"),
    "export": gettext_lazy("An export of your history"),
    "start command": gettext_lazy("Start request to your device"),
    "stop command": gettext_lazy("Stop request to your device"),
    "sheet": gettext_lazy("Your page for the doctor"),
    "aim command": gettext_lazy("Aiming request to your device"),
    "check command": gettext_lazy("Request to your device to check the counting"),
    "aim": gettext_lazy("Aiming your device's camera"),
    "check": gettext_lazy("The last check of the counting"),
    "devices": gettext_lazy("Your devices"),
    "alerts": gettext_lazy("Alerts about you"),
    "notice": gettext_lazy("Received an alert about you"),
    "session in the admin site": gettext_lazy("A session, in the admin site"),
}


@dataclass(frozen=True)
class Line:
    """One line of a log. `who` is empty for the server's operator or an unknown person."""

    when: str
    who: str
    what: str
    about: str = ""
    detail: str = ""
    session_id: UUID | None = None
    times: int = 1


def given_words(permissions: Collection[Permission]) -> str:
    """List permissions in a fixed order: `"History, Live"`."""
    return ", ".join(str(each.label) for each in Permission if each in permissions)


def moment_words(moment: datetime, zone: tzinfo) -> str:
    """Format a moment as `"today, 10:15"`."""
    today = timezone.now().astimezone(zone).date()
    return f"{day_name(moment.astimezone(zone).date(), today)}, {clock(moment, zone)}"


def date_words(moment: datetime, zone: tzinfo) -> str:
    """Format the day of a moment as `"today"` or `"Sun 22 Nov"`."""
    return day_name(moment.astimezone(zone).date(), timezone.now().astimezone(zone).date())


def look_lines(looks: Iterable[AccessLog], reader: Person) -> list[Line]:
    """Return the lines of the access log."""
    zone = reader.zone
    return [
        Line(
            when=_span(look.first_at, look.last_at, zone),
            who=look.viewer.label if look.viewer else look.viewer_name,
            what=str(LOOKS.get(look.what, look.what)),
            session_id=look.session_id,
            times=look.views,
        )
        for look in looks
    ]


def _span(first: datetime, last: datetime, zone: tzinfo) -> str:
    began, ended = moment_words(first, zone), moment_words(last, zone)
    if began == ended:
        return began
    same_day = first.astimezone(zone).date() == last.astimezone(zone).date()
    return f"{began} – {clock(last, zone) if same_day else ended}"  # noqa: RUF001


def log_lines(entries: Iterable[AuditEntry], reader: Person) -> list[Line]:
    """Return the lines of the audit log."""
    zone = reader.zone
    return [
        Line(
            when=_span(entry.at, entry.last_at, zone),
            who=_("You") if entry.actor_id == reader.pk else entry.actor_name,
            what=_event(entry.event),
            about=_("you") if entry.subject_id == reader.pk else entry.subject_name,
            detail=entry.detail,
            times=entry.count,
        )
        for entry in entries
    ]


def _event(name: str) -> str:
    return str(AuditEvent(name).label) if name in AuditEvent.values else name
