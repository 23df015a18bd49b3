"""Serialize sessions for history and detail."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from rest_framework import serializers

from server.common.fields import Count, instant_text
from server.common.paging import PageSerializer
from server.session_data.filters import ACTIVITIES_OR_NONE
from server.session_data.models import ACTIVITIES, State
from server.session_data.serializers import (
    ENDED_BY,
    AgentSerializer,
    BlinksSerializer,
    CameraSerializer,
    CheckSerializer,
    ClockSerializer,
    MetricsSerializer,
    MinuteSerializer,
    RemindersSerializer,
    readable_part,
)
from server.session_data.summary.eyes import eyes_of


class DeviceRefSerializer(serializers.Serializer[Any]):
    """A device, as shown to people who may see its sessions."""

    id = serializers.UUIDField()
    label = serializers.CharField()  # type: ignore[assignment]


class SessionEntrySerializer(serializers.Serializer[Any]):
    """A session in a list. Metrics are as in the document; null means "not measured".

    `local_day` is the local day on which it ended (or started, while active); `placed_at` is its
    start. If `date_uncertain` is true, the device's clock can't be trusted and both are those of
    its arrival. `state` is `check` for a check of the counting, which is no ordinary session.
    `received_at` and `updated_at` are by the server's clock.
    """

    id = serializers.UUIDField()
    state = serializers.ChoiceField(choices=State.choices)
    revision = serializers.IntegerField()
    placed_at = serializers.DateTimeField(help_text="Sessions are sorted by this")
    started_at = serializers.DateTimeField()
    ended_at = serializers.DateTimeField(allow_null=True)
    ended_by = serializers.ChoiceField(choices=ENDED_BY, allow_null=True)
    local_day = serializers.DateField()
    timezone = serializers.CharField()
    utc_offset_minutes = serializers.IntegerField(allow_null=True)
    date_uncertain = serializers.BooleanField()
    received_at = serializers.DateTimeField()
    updated_at = serializers.DateTimeField()
    device = DeviceRefSerializer(allow_null=True)
    fps = serializers.FloatField(allow_null=True)
    agent_version = serializers.CharField(allow_blank=True)
    activity = serializers.ChoiceField(choices=ACTIVITIES, allow_null=True)
    activity_chosen = serializers.BooleanField(
        help_text="Whether a person chose the activity afterwards, or that there is none"
    )

    def get_fields(self) -> dict[str, Any]:
        """Return the fields, with the document's metrics added."""
        metrics = MetricsSerializer().fields.items()
        return {**super().get_fields(), **{name: _told(field) for name, field in metrics}}


def _told(metric: Any) -> Any:
    kind = serializers.IntegerField if isinstance(metric, Count) else serializers.FloatField
    return kind(allow_null=True)


class EyesSerializer(serializers.Serializer[Any]):
    """Both eyes in the `blinks` in which both were seen.

    `difference` is the median of the right eye's closure minus the left eye's, `low` and `high` are
    its 99 % interval. `differ`: it is more than the measurement explains. `left_open` and
    `right_open` count the blinks in which only the other eye closed.
    """

    blinks = serializers.IntegerField()
    difference = serializers.FloatField()
    low = serializers.FloatField()
    high = serializers.FloatField()
    differ = serializers.BooleanField()
    left_open = serializers.IntegerField()
    right_open = serializers.IntegerField()


class SessionDetailSerializer(SessionEntrySerializer):
    """One session with the details from its document."""

    user = serializers.CharField()
    schema = serializers.IntegerField()
    clock = ClockSerializer(allow_null=True)
    camera = CameraSerializer(allow_null=True)
    agent = AgentSerializer(allow_null=True)
    quality = serializers.ListField(
        child=serializers.CharField(), help_text="The device's warnings about its numbers"
    )
    minutes = MinuteSerializer(many=True)
    blinks = BlinksSerializer(allow_null=True)
    reminders = RemindersSerializer(allow_null=True)
    check = CheckSerializer(allow_null=True)
    eyes = EyesSerializer(
        allow_null=True, help_text="Null with too few blinks in which both eyes were seen"
    )


def entry(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a row of `history.COLUMNS` in the form of `SessionEntrySerializer`."""
    told = dict(row)
    device_id, label = told.pop("device_id"), told.pop("device__label")
    told["device"] = None if device_id is None else {"id": device_id, "label": label}
    for name in ("placed_at", "started_at", "ended_at", "received_at", "updated_at"):
        told[name] = None if row[name] is None else instant_text(row[name])
    return told


def quality_of(document: Mapping[str, Any]) -> list[str]:
    """Return the document's `quality` flags: the device's warnings about its numbers.

    They are not validated on arrival, so anything but printable strings, such as lone surrogates
    that can't be sent in a response, is dropped here.
    """
    words = document.get("quality")
    said = words if isinstance(words, list) else []
    return [word for word in said if isinstance(word, str) and word.isprintable()]


def detail(row: Mapping[str, Any], document: Mapping[str, Any], user: str) -> dict[str, Any]:
    """Return a session in the form of `SessionDetailSerializer`."""
    names = ("clock", "camera", "agent", "minutes", "blinks", "reminders", "check")
    parts = {name: readable_part(document, name) for name in names}
    parts["check"] = parts["check"] if row["state"] == State.CHECK else None
    parts["minutes"] = parts["minutes"] or []
    parts["quality"] = quality_of(document)
    parts["eyes"] = eyes_part(parts["blinks"])
    return {**entry(row), "user": user, "schema": document["schema"], **parts}


def eyes_part(columns: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Return the comparison of both eyes in the form of `EyesSerializer`."""
    eyes = eyes_of(columns)
    if eyes is None:
        return None
    ends = {name: round(getattr(eyes, name), 4) for name in ("difference", "low", "high")}
    return {**asdict(eyes), **ends, "differ": eyes.differ}


class HistorySerializer(PageSerializer):
    """A page of a person's sessions, newest first, and the filters applied."""

    user = serializers.CharField()
    timezone = serializers.CharField(help_text="The person's zone, for bounds without an offset")
    state = serializers.ListField(
        child=serializers.ChoiceField(choices=State.choices), allow_null=True
    )
    activity = serializers.ChoiceField(choices=ACTIVITIES_OR_NONE, allow_null=True)
    results = SessionEntrySerializer(many=True)

    def get_fields(self) -> dict[str, Any]:
        """Return the fields, with `from` and `to` added: `from` is a keyword in Python."""
        bound = "As requested: a local day (in the session's own zone), or a date and time"
        more = {
            name: serializers.CharField(allow_null=True, help_text=bound) for name in ("from", "to")
        }
        return {**super().get_fields(), **more}
