"""The last check of the counting of each device of a person, and whether it still counts.

A check is stored as a session in the state `check`: see `State`.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Literal

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from server.care.models import Person
from server.common.words import long_day
from server.devices.models import Device
from server.session_data.history import Row
from server.session_data.models import SessionData, State
from server.session_data.serializers import readable_part

# A camera is moved, spectacles and light change. As the device's `measure/check.py`.
VALID = timedelta(days=90)
# So many of the newest checks, and of the newest sessions, are read to find each device's last one.
MOST_READ = 50

Doubt = Literal["failed", "old", "models"]


@dataclass(frozen=True, slots=True)
class LastCheck:
    """A device's last check. `found` is the document's `check`."""

    device: Device
    day: date
    found: Mapping[str, Any]
    doubt: Doubt | None

    @property
    def when(self) -> str:
        """Its day, in the reader's language."""
        return long_day(self.day)

    @property
    def words(self) -> str:
        """What was found, in a sentence."""
        return sentence(self.found)

    @property
    def doubt_words(self) -> str:
        """Why the check does not count any more, in a few words, or nothing."""
        said = {
            "failed": _("not passed"),
            "old": _("older than 90 days"),
            "models": _("older than the device's models"),
        }
        return said[self.doubt] if self.doubt else ""


def last_checks(person: Person, now: datetime) -> list[LastCheck]:
    """Return the last check of each of the person's devices that has one, in at most four queries.

    Only these documents are read.
    """
    last = {row["device_id"]: row for row in reversed(_newest(person, State.CHECK))}
    if not last:
        return []
    devices = list(Device.objects.filter(person=person, revoked_at=None, pk__in=filter(None, last)))
    ids = [last[device.pk]["id"] for device in devices]
    documents = dict(SessionData.objects.filter(pk__in=ids).values_list("pk", "document_json"))
    models = {
        row["device_id"]: row["model"]
        for row in reversed(_newest(person, State.ENDED))
        if row["model"]
    }
    checks = []
    for device in devices:
        row = last[device.pk]
        found = readable_part(json.loads(documents.get(row["id"], "{}")), "check")
        if found:
            age, model_now = now - row["placed_at"], models.get(device.pk, "")
            why = doubt(found, age, row["model"], model_now)
            checks.append(LastCheck(device, row["local_day"], found, why))
    return checks


def doubt(found: Mapping[str, Any], age: timedelta, model: str, model_now: str) -> Doubt | None:
    """Return why a check does not show how well its device counts now; `None` if it does.

    `model_now` is the model of the device's newest session, or empty.
    """
    if not found["passed"]:
        return "failed"
    if model_now and model != model_now:
        return "models"
    return "old" if age > VALID else None


def sentence(found: Mapping[str, Any]) -> str:
    """Return what a check found, in the reader's language."""
    false = found["false"]
    down = {
        "told_apart": _("looking down recognised"),
        "taken_for_shut": _("looking down taken for shut eyes"),
    }
    parts = [
        _("%(found)d of %(asked)d blinks found")
        % {"found": found["found"], "asked": found["asked"]},
        ngettext("%(n)d blink too many", "%(n)d blinks too many", false) % {"n": false}
        if false
        else _("none too many"),
        down.get(found["look_down"], _("looking down not noticed")),
    ]
    if found.get("shut_s") is None:
        parts.append(_("shut eyes not found"))
    return ", ".join(parts)


def _newest(person: Person, state: State) -> list[Row]:
    """Return the person's newest sessions in a state, newest first."""
    rows = SessionData.objects.filter(user=person, state=state).order_by("-placed_at", "-id")
    names = ("id", "device_id", "placed_at", "local_day", "model")
    return [dict(row) for row in rows.values(*names)[:MOST_READ]]
