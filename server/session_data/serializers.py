"""Session documents in, validated. Sessions out, as history and detail show them: told.py.

Schema 1 is checked key by key. A document of a newer schema comes from a newer agent and is kept
whole; what of it can be read as schema 1 fills the columns, the rest stays in the document for a
newer server.
"""

import zoneinfo
from collections.abc import Mapping
from typing import Any

from rest_framework import serializers
from rest_framework.exceptions import ValidationError

from server.common.fields import (
    Choice,
    Column,
    Count,
    Flag,
    Instant,
    Number,
    Rows,
    SessionId,
    StrictSerializer,
    Text,
    quoted,
    refuse,
)
from server.common.problems import OUTCOMES
from server.session_data.models import State

SCHEMA = 1
NEWEST_SCHEMA = 32767  # what the column holds

DAY_S = 86_400.0
MAX_BLINKS = 20_000  # ten hours at the fastest rate ever measured, 32.5 a minute
MAX_MINUTES = 24 * 60 + 1
MAX_EAR = 5.0  # an eye five times as high as it is wide is none; 0.3 is usual

ENDED_BY = ["button", "command", "time_limit", "power_loss", "camera_fault"]

OPTIONAL: dict[str, Any] = {"required": False, "allow_null": True}


class ClockSerializer(StrictSerializer):
    """The device's clocks at the start of the session."""

    synchronized = Flag(**OPTIONAL)
    utc_offset_minutes = Count(min_value=-16 * 60, max_value=16 * 60, **OPTIONAL)
    timezone = Text(max_length=64, **OPTIONAL)
    boot_id = Text(max_length=64, **OPTIONAL)
    monotonic_start_s = Number(min_value=0, max_value=1e12, **OPTIONAL)


class CameraSerializer(StrictSerializer):
    """What filmed; `fps` is the rate delivered."""

    source = Text(max_length=32, **OPTIONAL)  # type: ignore[assignment]
    width = Count(max_value=65_535, **OPTIONAL)
    height = Count(max_value=65_535, **OPTIONAL)
    fps = Number(min_value=0, max_value=1000, **OPTIONAL)


class MetricsSerializer(StrictSerializer):
    """The session's numbers; null is "not measured", never 0. Shares are 0 to 1."""

    duration_s = Number(min_value=0, max_value=1e9, **OPTIONAL)
    valid_s = Number(min_value=0, max_value=1e9, **OPTIONAL)
    coverage = Number(min_value=0, max_value=1, **OPTIONAL)
    frames = Count(**OPTIONAL)
    frames_dropped = Count(**OPTIONAL)
    blink_count = Count(**OPTIONAL)
    partial_blink_count = Count(**OPTIONAL)
    blink_rate_per_min = Number(min_value=0, max_value=10_000, **OPTIONAL)
    inter_blink_interval_median_s = Number(min_value=0, max_value=1e9, **OPTIONAL)
    blink_duration_median_ms = Number(min_value=0, max_value=1e6, **OPTIONAL)
    blink_duration_p90_ms = Number(min_value=0, max_value=1e6, **OPTIONAL)
    ear_mean = Number(min_value=0, max_value=MAX_EAR, **OPTIONAL)
    ear_open = Number(min_value=0, max_value=MAX_EAR, **OPTIONAL)
    perclos = Number(min_value=0, max_value=1, **OPTIONAL)
    long_closure_count = Count(**OPTIONAL)
    longest_closure_s = Number(min_value=0, max_value=1e9, **OPTIONAL)
    ear_open_left = Number(min_value=0, max_value=MAX_EAR, **OPTIONAL)
    ear_open_right = Number(min_value=0, max_value=MAX_EAR, **OPTIONAL)
    blink_closure_left_median = Number(min_value=0, max_value=1, **OPTIONAL)
    blink_closure_right_median = Number(min_value=0, max_value=1, **OPTIONAL)
    looking_down = Number(min_value=0, max_value=1, **OPTIONAL)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """A part is not more than its whole."""
        whole, part = attrs.get("blink_count"), attrs.get("partial_blink_count")
        if whole is not None and part is not None and part > whole:
            raise ValidationError(
                {"partial_blink_count": f"expected at most blink_count, found {part} of {whole}"}
            )
        return attrs


class MinuteSerializer(StrictSerializer):
    """One minute of the session, counted from 0; without a face a gap of nulls."""

    minute = Count(max_value=MAX_MINUTES - 1)
    valid_s = Number(min_value=0, max_value=60.5, **OPTIONAL)
    blinks = Count(**OPTIONAL)
    ear_mean = Number(min_value=0, max_value=MAX_EAR, **OPTIONAL)
    perclos = Number(min_value=0, max_value=1, **OPTIONAL)


class BlinksSerializer(StrictSerializer):
    """Every blink, in columns of one length: when, how long, how far (0 to 1), whether complete.

    `closure_left` and `closure_right` are how far each eye closed (0 to 1); null where that eye was
    not seen. Older devices don't send them.
    """

    at_s = Column(child=Number(min_value=0, max_value=1e9), max_length=MAX_BLINKS)
    duration_ms = Column(
        child=Number(min_value=0, max_value=1e6, allow_null=True), max_length=MAX_BLINKS
    )
    amplitude = Column(
        child=Number(min_value=0, max_value=2, allow_null=True), max_length=MAX_BLINKS
    )
    complete = Column(child=Flag(allow_null=True), max_length=MAX_BLINKS)
    closure_left = Column(
        child=Number(min_value=0, max_value=1, allow_null=True), max_length=MAX_BLINKS, **OPTIONAL
    )
    closure_right = Column(
        child=Number(min_value=0, max_value=1, allow_null=True), max_length=MAX_BLINKS, **OPTIONAL
    )

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Columns of one length."""
        lengths = [len(column) for column in attrs.values() if column is not None]
        if len(set(lengths)) > 1:
            raise ValidationError(f"expected columns of one length, found {lengths}")
        return attrs


class AgentSerializer(StrictSerializer):
    """What measured."""

    version = Text(max_length=64, **OPTIONAL)
    model = Text(max_length=128, **OPTIONAL)


class SessionDocumentSerializer(StrictSerializer):
    """A session document, complete at every revision. Unknown keys are kept as they are."""

    schema = Count(min_value=1, max_value=NEWEST_SCHEMA)
    session_id = SessionId()
    revision = Count(min_value=1)
    state = Choice(choices=State.choices)
    started_at = Instant()
    ended_at = Instant(**OPTIONAL)
    ended_by = Choice(choices=ENDED_BY, **OPTIONAL)
    clock = ClockSerializer(**OPTIONAL)
    camera = CameraSerializer(**OPTIONAL)
    metrics = MetricsSerializer(**OPTIONAL)
    minutes = Rows(child=MinuteSerializer(), max_length=MAX_MINUTES, **OPTIONAL)
    blinks = BlinksSerializer(**OPTIONAL)
    agent = AgentSerializer(**OPTIONAL)

    def validate_minutes(self, minutes: list[dict[str, Any]] | None) -> Any:
        """Each minute once, in order."""
        numbers = [minute["minute"] for minute in minutes or []]
        if numbers != sorted(set(numbers)):
            raise ValidationError("expected each minute once and in order")
        return minutes

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """State, end and start agree."""
        over = attrs["state"] != State.ACTIVE
        ended_at = attrs.get("ended_at")
        if over and ended_at is None:
            raise ValidationError({"ended_at": "expected a moment, as the session is over"})
        if not over and (ended_at is not None or attrs.get("ended_by") is not None):
            raise ValidationError({"ended_at": "expected no end, as the session is active"})
        # With a clock that was not set, any two readings are possible: kept, and marked uncertain.
        believed = (attrs.get("clock") or {}).get("synchronized")
        if believed and ended_at is not None and ended_at < attrs["started_at"]:
            raise ValidationError({"ended_at": "expected an end after the start"})
        return attrs


# One instance: building the fields takes longer than validating with them.
_DOCUMENT = SessionDocumentSerializer()
_ENVELOPE = {"schema", "session_id", "revision", "started_at", "ended_at"}


def validated(document: Mapping[str, Any]) -> dict[str, Any]:
    """The document's known keys, checked; `ValidationError` says where it is wrong."""
    if not isinstance(document, Mapping):
        refuse("a JSON object", document)
    schema = document.get("schema")
    if type(schema) is int and SCHEMA < schema <= NEWEST_SCHEMA:
        return _readable(document)
    known: dict[str, Any] = _DOCUMENT.run_validation(document)
    return known


def expect_numbers(known: Mapping[str, Any]) -> None:
    """A measured session that is over brings its numbers: `metrics`, not empty, and `minutes`.

    Its document replaces one that has them. Asked of the document alone, whatever is kept already,
    so that what a session ends as does not depend on the order of arrival. A newer schema may keep
    its numbers elsewhere.
    """
    if known["schema"] > SCHEMA or known["state"] == State.ACTIVE:
        return
    if not known.get("metrics"):
        raise ValidationError({"metrics": "expected the final ones, as the session is over"})
    if known.get("minutes") is None:
        raise ValidationError({"minutes": "expected a list, as the session is over"})


def _readable(document: Mapping[str, Any]) -> dict[str, Any]:
    """Of a newer document: what can be read. Only its envelope has to be right."""
    known = {}
    for name, field in _DOCUMENT.fields.items():
        if name not in _ENVELOPE:
            known[name] = _readable_value(field, document.get(name))
            continue
        try:
            known[name] = field.run_validation(document.get(name))
        except ValidationError as error:
            raise ValidationError({name: error.detail}) from None
    if known["state"] is None:  # a state we don't know yet: over once it has an end
        known["state"] = State.ACTIVE if known["ended_at"] is None else State.ENDED
    elif known["state"] != State.ACTIVE and known["ended_at"] is None:
        raise ValidationError({"ended_at": "expected a moment, as the session is over"})
    return known


def _readable_value(field: Any, value: Any) -> Any:
    """The value as `field` reads it; of an object each key by itself; `None` where it can't."""
    if isinstance(field, serializers.Serializer) and not isinstance(field, BlinksSerializer):
        if not isinstance(value, Mapping):
            return None
        return {key: _readable_value(part, value.get(key)) for key, part in field.fields.items()}
    try:
        return field.run_validation(value)
    except ValidationError:
        return None


def readable_part(document: Mapping[str, Any], name: str) -> Any:
    """One of the document's keys, as far as it can be read; `None` where it can't."""
    return _readable_value(_DOCUMENT.fields[name], document.get(name))


class StartSerializer(serializers.Serializer[Any]):
    """What a person may say who begins a session without a device."""

    started_at = Instant(**OPTIONAL)
    timezone = Text(max_length=64, **OPTIONAL)

    def validate_timezone(self, name: str | None) -> str | None:
        """One that we know."""
        if name is not None and name not in zoneinfo.available_timezones():
            refuse("a time zone such as Europe/Berlin", name)
        return name

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Nothing else."""
        for name in self.initial_data:
            if name not in self.fields:
                raise ValidationError({quoted(name).strip("'"): "expected started_at or timezone"})
        return attrs


class StartOnDeviceSerializer(serializers.Serializer[Any]):
    """What a person says who asks a device to start a session: which, and nothing else."""

    device = SessionId()

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """A device begins by its own clock and zone."""
        for name in self.initial_data:
            if name != "device":
                raise ValidationError({quoted(name).strip("'"): "expected device alone"})
        return attrs


class AcceptanceSerializer(serializers.Serializer[Any]):
    """What became of a document; once this is answered, it is committed."""

    session_id = serializers.CharField(allow_null=True)
    revision = serializers.IntegerField(allow_null=True)
    outcome = serializers.ChoiceField(choices=OUTCOMES)
    reason = serializers.CharField(allow_null=True)


class ChangesSerializer(SessionDocumentSerializer):
    """Any part of a session document. Objects are merged key by key; null is a value."""

    def get_fields(self) -> dict[str, Any]:
        """All of them optional."""
        fields = super().get_fields()
        for field in fields.values():
            field.required = False
        return fields
