"""Replace the names and ids in an export, so that it can be passed on.

A pseudonym is an HMAC of the real name with the server's secret key, for one viewer: it is the same
in all files of that viewer, so they can be joined, and nobody else can compute it. Times and
measurements stay as they are and may still tell who somebody is.
"""

import uuid
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

from django.utils.crypto import salted_hmac

from server.care.models import Person
from server.session_data.export.reading import Found


class Pseudonyms:
    """The pseudonyms for one viewer."""

    def __init__(self, viewer: Person) -> None:
        self._salt = f"blinklog.export.{viewer.pk}"

    def user(self, username: str) -> str:
        """Return the pseudonym of a person; a spreadsheet doesn't take it for a number."""
        return "p" + self._digest("user", username).hex()[:16]

    def id(self, value: uuid.UUID | None) -> uuid.UUID | None:
        """Return the pseudonym of a session or a device."""
        if value is None:
            return None
        return uuid.UUID(bytes=self._digest("id", str(value))[:16], version=4)

    def hide(self, sessions: Iterable[Found]) -> Iterator[Found]:
        """Replace user name, session and device, and leave out the device's label."""
        for each in sessions:
            changes: dict[str, Any] = {
                "id": self.id(each.row["id"]),
                "device_id": self.id(each.row["device_id"]),
                "device__label": "",
            }
            yield replace(each, user=self.user(each.user), row={**each.row, **changes})

    def _digest(self, kind: str, value: str) -> bytes:
        return salted_hmac(self._salt, f"{kind} {value}", algorithm="sha256").digest()
