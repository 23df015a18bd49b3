"""Sessions out: as history and detail show them."""

from collections.abc import Mapping
from typing import Any

from rest_framework import serializers

from server.common.fields import Count, instant_text
from server.session_data.models import State
from server.session_data.serializers import (
    AgentSerializer,
    BlinksSerializer,
    CameraSerializer,
    ClockSerializer,
    MetricsSerializer,
    MinuteSerializer,
    readable_part,
)


class DeviceRefSerializer(serializers.Serializer[Any]):
    """A device, as far as a session's readers know it."""

    id = serializers.UUIDField()
    label = serializers.CharField()  # type: ignore[assignment]


class SessionEntrySerializer(serializers.Serializer[Any]):
    """A session as a list shows it. Metrics as in the document: null was not measured, 0 was.

    `local_day` is the day it ended in (or began in), where it was measured; `placed_at` its start.
    Where `date_uncertain` says that the device's clock can't be believed, both are of its arrival.
    `received_at` and `updated_at` are the server's.
    """

    id = serializers.UUIDField()
    state = serializers.ChoiceField(choices=State.choices)
    revision = serializers.IntegerField()
    placed_at = serializers.DateTimeField(help_text="By which sessions are sorted")
    started_at = serializers.DateTimeField()
    ended_at = serializers.DateTimeField(allow_null=True)
    ended_by = serializers.CharField(allow_null=True)
    local_day = serializers.DateField()
    timezone = serializers.CharField()
    utc_offset_minutes = serializers.IntegerField(allow_null=True)
    date_uncertain = serializers.BooleanField()
    received_at = serializers.DateTimeField()
    updated_at = serializers.DateTimeField()
    device = DeviceRefSerializer(allow_null=True)
    fps = serializers.FloatField(allow_null=True)
    agent_version = serializers.CharField(allow_blank=True)

    def get_fields(self) -> dict[str, Any]:
        """With the document's metrics."""
        metrics = MetricsSerializer().fields.items()
        return {**super().get_fields(), **{name: _told(field) for name, field in metrics}}


def _told(metric: Any) -> Any:
    kind = serializers.IntegerField if isinstance(metric, Count) else serializers.FloatField
    return kind(allow_null=True)


class SessionDetailSerializer(SessionEntrySerializer):
    """One session, with what only its document holds."""

    user = serializers.CharField()
    schema = serializers.IntegerField()
    clock = ClockSerializer(allow_null=True)
    camera = CameraSerializer(allow_null=True)
    agent = AgentSerializer(allow_null=True)
    quality = serializers.ListField(
        child=serializers.CharField(), help_text="What the device said against its numbers"
    )
    minutes = MinuteSerializer(many=True)
    blinks = BlinksSerializer(allow_null=True)


def entry(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row of `history.COLUMNS` as `SessionEntrySerializer` describes it."""
    told = dict(row)
    device_id, label = told.pop("device_id"), told.pop("device__label")
    told["device"] = None if device_id is None else {"id": device_id, "label": label}
    for name in ("placed_at", "started_at", "ended_at", "received_at", "updated_at"):
        told[name] = None if row[name] is None else instant_text(row[name])
    return told


def quality_of(document: Mapping[str, Any]) -> list[str]:
    """What the device itself said against its numbers, in the document's words.

    Nothing checked these: what is no word, such as half a surrogate, could not be answered.
    """
    words = document.get("quality")
    said = words if isinstance(words, list) else []
    return [word for word in said if isinstance(word, str) and word.isprintable()]


def detail(row: Mapping[str, Any], document: Mapping[str, Any], user: str) -> dict[str, Any]:
    """A session as `SessionDetailSerializer` describes it."""
    names = ("clock", "camera", "agent", "minutes", "blinks")
    parts = {name: readable_part(document, name) for name in names}
    parts["minutes"] = parts["minutes"] or []
    parts["quality"] = quality_of(document)
    return {**entry(row), "user": user, "schema": document["schema"], **parts}


class HistorySerializer(serializers.Serializer[Any]):
    """A page of a person's sessions, newest first, and what was applied to find them."""

    user = serializers.CharField()
    timezone = serializers.CharField(help_text="The person's zone: moments without one are in it")
    state = serializers.ListField(
        child=serializers.ChoiceField(choices=State.choices), allow_null=True
    )
    limit = serializers.IntegerField()
    has_more = serializers.BooleanField(help_text="Whether there are older ones")
    next = serializers.URLField(allow_null=True, help_text="Older ones")
    previous = serializers.URLField(allow_null=True, help_text="Newer ones")
    results = SessionEntrySerializer(many=True)

    def get_fields(self) -> dict[str, Any]:
        """With `from` and `to`, which Python can't name."""
        bound = "As it was asked for: a local day (of the session's own zone), or a moment"
        more = {
            name: serializers.CharField(allow_null=True, help_text=bound) for name in ("from", "to")
        }
        return {**super().get_fields(), **more}
