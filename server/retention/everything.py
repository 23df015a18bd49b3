"""Export of everything about a person in one zip, streamed to keep memory use constant.

The zip's README.txt describes each file. Documents are as sent by the device; tables are CSV.
"""

import json
import zipfile
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any

from django.db.models import Q, QuerySet
from django.utils import timezone

from server.alerts.models import Acknowledgement, Alert, Receiver, Rule
from server.care.audit import entries_of
from server.care.models import AccessLog, AccessRequest, CareLink, Person, PersonToken
from server.common.fields import instant_text
from server.devices.models import Command, Device
from server.notes.models import Note
from server.reminding.choose import choice_of
from server.replica.reading import from_replica
from server.retention.deletion import letters_of
from server.retention.tidying import days_kept
from server.session_data.export.codebook import SESSIONS
from server.session_data.export.lines import as_csv, line
from server.session_data.export.reading import found, with_documents
from server.session_data.export.rows import session_rows
from server.session_data.models import SessionData
from server.visit.models import SheetLink

CHUNK = 100

README = """\
Everything that this Blinklog server stores about {name}, {when}.

person.json              the account, with its settings for notifications and blink reminders
sessions.csv             a row for each finished session; an empty cell means not measured
sessions/<id>.json       each session's document, as sent by the device
links.csv                current and past sharing
requests.csv             requests for access that this person sent (not whether one was declined)
requested.csv            requests for access that this person received, and this person's answers
devices.csv              devices, and when each was last seen
tokens.csv               apps that were given access (the tokens themselves are not stored)
sheetlinks.csv           links to the page for the doctor, and until when they are valid
notes.csv                notes about this person, also those that others wrote
rules.csv                alert rules that this person made, or that are about them
alerts.csv               alerts about this person
acknowledged.csv         who looked after alerts: about this person, or this person about others
commands.csv             commands to the devices of this person, and commands this person sent
looks.csv                who viewed this person's data, and when
looked.csv               whose data this person viewed, and when
audit.csv                logins, sharing, devices, exports and deletions
rejected/<n>.json        rejected documents, and why

Times are UTC. Secrets, such as passwords and tokens, are not included. The keys of a session's
document are described in docs/session-document.md of Blinklog's source.
"""


class _Pipe:
    """A buffer between the zip writer and the response."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def write(self, data: bytes) -> int:
        self._parts.append(bytes(data))
        return len(data)

    def flush(self) -> None:
        """Do nothing: writes are not buffered elsewhere."""

    def take(self) -> bytes:
        taken = b"".join(self._parts)
        self._parts.clear()
        return taken


def everything(person: Person) -> Iterator[bytes]:
    """Yield the zip in pieces. The central directory at its end shows that it is complete."""
    pipe = _Pipe()
    with zipfile.ZipFile(pipe, "w", zipfile.ZIP_DEFLATED) as archive:  # type: ignore[call-overload]
        for name, parts in files(person):
            with archive.open(name, "w") as file:
                for part in parts:
                    file.write(part.encode("utf-8", "replace"))
                    if taken := pipe.take():
                        yield taken
    yield pipe.take()


def files(person: Person) -> Iterator[tuple[str, Iterable[str]]]:
    """Yield each file's name and its text in parts."""
    when = instant_text(timezone.now())
    yield "README.txt", [README.format(name=person.username, when=when)]
    yield "person.json", [json.dumps(_account(person), indent=1)]
    yield "sessions.csv", as_csv(SESSIONS, session_rows(with_documents(found(person))))
    for pk, document in _documents(person):
        yield f"sessions/{pk}.json", [document]
    yield "links.csv", _table(LINKS, _links(person))
    yield "requests.csv", _table(REQUESTS, _requests(AccessRequest.objects.filter(asker=person)))
    received = AccessRequest.objects.filter(person=person)
    yield "requested.csv", _table(REQUESTED, _requests(received))
    yield "devices.csv", _table(DEVICES, Device.objects.filter(person=person).values(*DEVICES))
    tokens = PersonToken.objects.filter(person=person)
    yield "tokens.csv", _table(TOKENS, tokens.values(*TOKENS))
    links = SheetLink.objects.filter(person=person)
    yield "sheetlinks.csv", _table(SHEET_LINKS, links.values(*SHEET_LINKS))
    notes = Note.objects.filter(person=person)
    yield "notes.csv", _table(NOTES, notes.values(*NOTES).iterator(CHUNK))
    either = Q(person=person) | Q(receiver=person)
    yield "rules.csv", _table(RULES, Rule.objects.filter(either).values(*RULES))
    yield "alerts.csv", _table(ALERTS, Alert.objects.filter(person=person).values(*ALERTS))
    held = Acknowledgement.objects.filter(Q(person=person) | Q(by=person))
    yield "acknowledged.csv", _table(HELD, held.values(*HELD))
    commands = Command.objects.filter(Q(person=person) | Q(asked_by=person))
    yield "commands.csv", _table(COMMANDS, commands.values(*COMMANDS))
    looks = AccessLog.objects.filter(person=person)
    yield "looks.csv", _table(LOOKS, looks.values(*LOOKS).iterator(CHUNK))
    looked = AccessLog.objects.filter(viewer=person)
    yield "looked.csv", _table(LOOKED, looked.values(*LOOKED).iterator(CHUNK))
    yield "audit.csv", _table(AUDIT, entries_of(person).values(*AUDIT).iterator(CHUNK))
    for letter in letters_of(person).order_by("pk"):
        told = {"received_at": letter.received_at, "reason": letter.reason, "text": letter.payload}
        yield f"rejected/{letter.pk}.json", [json.dumps(told, default=_plain)]


LINKS = ("caregiver", "person", "permissions", "created_at", "ended_at")
# Not whether a request reached somebody or was declined: that would tell whether the name exists.
REQUESTS = (
    "name", "permissions", "message", "made_at", "expires_at", "withdrawn_at", "granted_at",
)  # fmt: skip
REQUESTED = (
    "asker", "permissions", "message", "made_at", "expires_at", "withdrawn_at", "declined_at",
    "granted_at",
)  # fmt: skip
DEVICES = ("id", "label", "created_at", "revoked_at", "last_seen_at", "agent_version")
TOKENS = (
    "prefix", "name", "scope", "created_at", "last_used_at", "expires_at", "revoked_at",
    "ended_why",
)  # fmt: skip
SHEET_LINKS = ("prefix", "name", "first", "last", "created_at", "expires_at", "revoked_at")
NOTES = (
    "id", "author_name", "kind", "at", "text", "shared", "session_id", "created_at", "changed_at",
)  # fmt: skip
RULES = (
    "receiver__username", "person__username", "kind", "minutes", "by", "weekdays", "closures",
    "closure_s", "spread", "remind_minutes", "escalate_minutes", "escalate_to__username",
    "created_at",
)  # fmt: skip
ALERTS = (
    "receiver__username", "person__username", "kind", "session_id", "measured", "opened_at",
    "resolved_at", "why", "snoozed_until", "escalated_at", "reminders",
)  # fmt: skip
HELD = ("person__username", "by__username", "asked__username", "kind", "cause", "at", "ended_at")
COMMANDS = ("device__label", "asked_by_name", "command", "session_id", "asked_at", "problem")
LOOKS = ("viewer_name", "what", "session_id", "first_at", "last_at", "views")
LOOKED = ("person__username", "what", "session_id", "first_at", "last_at", "views")
AUDIT = ("at", "last_at", "count", "event", "actor_name", "subject_name", "detail")


def _account(person: Person) -> dict[str, Any]:
    receiver = Receiver.objects.filter(person=person).first()
    reminding = choice_of(person)
    return {
        "username": person.username,
        "first_name": person.first_name,
        "last_name": person.last_name,
        "email": person.email,
        "timezone": person.timezone,
        "language": person.language,
        "date_joined": instant_text(person.date_joined),
        "last_login": instant_text(person.last_login) if person.last_login else None,
        "sessions_kept_days": days_kept(person),
        "reminding": {
            "mode": reminding.mode,
            "below_per_min": reminding.below_per_min,
            "own_per_min": reminding.own_per_min,
        },
        "told": receiver
        and {
            "by_email": receiver.by_email,
            "email": receiver.email,
            "webhook_url": receiver.webhook_url,
            "ntfy_url": receiver.ntfy_url,
            "apprise": bool(receiver.apprise_url),
            "quiet_from": str(receiver.quiet_from or ""),
            "quiet_until": str(receiver.quiet_until or ""),
        },
    }


def _links(person: Person) -> Iterator[dict[str, Any]]:
    links = CareLink.objects.filter(Q(person=person) | Q(caregiver=person))
    for link in links.select_related("person", "caregiver"):
        yield {
            "caregiver": link.caregiver.username,
            "person": link.person.username,
            "permissions": " ".join(sorted(link.permissions)),
            "created_at": link.created_at,
            "ended_at": link.ended_at,
        }


def _requests(requests: QuerySet[AccessRequest]) -> Iterator[dict[str, Any]]:
    for request in requests.select_related("asker"):
        yield {
            **{name: getattr(request, name) for name in {*REQUESTS, *REQUESTED} - {"asker"}},
            "asker": request.asker.username,
            "permissions": " ".join(sorted(request.permissions)),
        }


def _documents(person: Person) -> Iterator[tuple[Any, str]]:
    """Yield all sessions in chunks along an index. May miss sessions that arrive meanwhile."""
    place: tuple[datetime, Any] | None = None
    while True:
        rows = SessionData.objects.filter(user=person)
        if place is not None:
            behind = Q(placed_at__gt=place[0]) | Q(pk__gt=place[1])
            rows = rows.filter(Q(placed_at__gte=place[0]) & behind)
        columns = rows.order_by("placed_at", "pk").values_list("pk", "document_json", "placed_at")
        chunk = columns[:CHUNK]
        found = from_replica([person], lambda: list(chunk))  # noqa: B023 runs at once
        for pk, document, _ in found:
            yield pk, document
        if len(found) < CHUNK:
            return
        place = (found[-1][2], found[-1][0])


def _table(columns: tuple[str, ...], rows: Iterable[dict[str, Any]]) -> Iterator[str]:
    """Yield a CSV header and a line for each row."""
    yield line([name.removesuffix("__username") for name in columns])
    for row in rows:
        yield line([_plain(row[name]) for name in columns])


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return instant_text(value)
    if isinstance(value, dict):
        return json.dumps(value)
    return "" if value is None else value if isinstance(value, (int, float)) else str(value)
