"""Show one session to a person who may see it."""

import json
from typing import Any
from uuid import UUID

from django.http import Http404
from rest_framework.response import Response

from server.care.access import note_look
from server.care.models import Person
from server.session_data.history import COLUMNS, readable_by
from server.session_data.representation.preconditions import TAGGED, tag_of
from server.session_data.told import detail


def session_shown(viewer: Person, session_id: UUID, status: int = 200) -> Response:
    """Return the session in the form of `SessionDetailSerializer`, with its ETag."""
    row = visible_row(viewer, session_id, *COLUMNS, "document_json")
    tag, document = tag_of(row), json.loads(row.pop("document_json"))
    del row["user_id"]
    told = detail(row, document, row.pop("user__username"))
    return Response(told, status=status, headers={"ETag": tag})


def visible_row(viewer: Person, session_id: UUID, *columns: str) -> dict[str, Any]:
    """Return these columns of a session and those of its ETag, and log the look.

    Raises `Http404` if `viewer` may not see it.
    """
    names = {"user_id", *TAGGED, *columns}
    rows = readable_by(viewer).filter(pk=session_id)
    row: dict[str, Any] | None = rows.values(*names).first()
    if row is None:
        raise Http404
    note_look(viewer, Person(pk=row["user_id"]), "session", session_id)
    return row
