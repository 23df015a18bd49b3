"""The answer to `GET /api/session/history/?updated_since=`."""

from datetime import datetime
from typing import Any

from drf_spectacular.utils import PolymorphicProxySerializer, extend_schema_field
from rest_framework import serializers
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.utils.urls import replace_query_param

from server.care.access import note_look, permissions, person_for, shared_since
from server.care.models import Permission, Person
from server.common.days import zone_of
from server.common.fields import instant_text, refuse
from server.common.paging import check_names, read_limit, read_parameter
from server.session_data.changes.feed import Position, Sight, changes_since
from server.session_data.filters import DEFAULT_LIMIT
from server.session_data.history import Row
from server.session_data.told import SessionEntrySerializer, entry

PARAMETERS = ("user", "updated_since", "limit")


class ChangedSessionSerializer(SessionEntrySerializer):
    """A session that is new or has changed, at its newest revision."""

    kind = serializers.ChoiceField(choices=["session"])


class DeletedSessionSerializer(serializers.Serializer[Any]):
    """A session that was deleted: drop your copy, if you have one."""

    kind = serializers.ChoiceField(choices=["deletion"])
    id = serializers.UUIDField()
    deleted_at = serializers.DateTimeField()


@extend_schema_field(
    PolymorphicProxySerializer(
        component_name="Change",
        serializers={"session": ChangedSessionSerializer, "deletion": DeletedSessionSerializer},
        resource_type_field_name="kind",
        many=True,
    )
)
class _Changes(serializers.ListField):
    """Changed and deleted sessions."""


class ChangesSinceSerializer(serializers.Serializer[Any]):
    """A page of changes of a person's sessions, oldest first. Each session is listed once."""

    user = serializers.CharField()
    timezone = serializers.CharField(help_text="The person's zone, for times without an offset")
    limit = serializers.IntegerField()
    has_more = serializers.BooleanField(help_text="Whether there are more now")
    next = serializers.URLField(allow_null=True, help_text="More changes")
    cursor = serializers.CharField(help_text="Where this page ends, for `updated_since`")
    results = _Changes()


def answer(request: Request, viewer: Person) -> Response:
    """Return the changes of a person's sessions since `updated_since`, oldest first.

    Raises `Http404` without permission for the person's history, `ValidationError` for an invalid
    query, and `CursorExpired`.
    """
    query = request.query_params
    person = person_for(viewer, query.get("user"), Permission.HISTORY)
    check_names(query, PARAMETERS)
    since = read_parameter(query, "updated_since", lambda text: _since(text, person.timezone))
    limit = read_parameter(query, "limit", read_limit) or DEFAULT_LIMIT
    live = Permission.LIVE in permissions(viewer, person)
    found = changes_since(Sight(person, live, shared_since(viewer, person)), since, limit)
    if found.rows:  # a poll that tells nothing is no look
        note_look(viewer, person, "history")
    cursor = found.after.text()
    here = replace_query_param(request.build_absolute_uri(), "updated_since", cursor)
    return Response(
        {
            "user": person.username,
            "timezone": person.timezone,
            "limit": limit,
            "has_more": found.more,
            "next": here if found.more else None,
            "cursor": cursor,
            "results": [_told(row) for row in found.rows],
        }
    )


def _told(row: Row) -> dict[str, Any]:
    row.pop("change")
    if "session_id" in row:
        deleted_at = instant_text(row["at"])
        return {"kind": "deletion", "id": row["session_id"], "deleted_at": deleted_at}
    return {"kind": "session", **entry(row)}


def _since(text: str, zone: str) -> Position | datetime:
    """Parse a time, which begins with a digit, or a cursor, which never does."""
    if text[:1].isdecimal():
        return _moment(text, zone)
    try:
        return Position.read(text)
    except ValueError:
        refuse("a time such as 2026-11-22T10:15:30Z, or a cursor from an earlier response", text)


def _moment(text: str, zone: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
        if len(text) > len("2026-11-22") and 1970 <= moment.year < 2199:
            return moment if moment.tzinfo else moment.replace(tzinfo=zone_of(zone, None, "UTC"))
    except ValueError:
        pass
    raise ValidationError(["expected a time such as 2026-11-22T10:15:30Z"])
