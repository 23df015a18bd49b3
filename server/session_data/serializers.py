"""Validate session documents. (told.py serializes sessions for history and detail.)

Schema 1 is validated key by key. A document with a newer schema comes from a newer agent and is
stored complete: the parts that are valid in schema 1 fill the columns, the rest stays in the
document for a newer server.
"""

from collections.abc import Mapping
from typing import Any

from rest_framework import serializers
from rest_framework.exceptions import ValidationError

from server.common.days import known_zones
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
    Word,
    quoted,
    refuse,
)
from server.common.problems import OUTCOMES
from server.session_data.models import ACTIVITIES, DOCUMENT_STATES, State

SCHEMA = 1
NEWEST_SCHEMA = 32767  # the maximum of the column
# A device makes at most 86,400 revisions: a checkpoint every second for 24 hours. Without a bound,
# one document with the highest revision would shut out all that its session measures.
MAX_REVISION = 1_000_000

DAY_S = 86_400.0
MAX_BLINKS = 20_000  # ten hours at 32.5 a minute, a high rate in conversation (Doughty 2001)
MAX_MINUTES = 24 * 60 + 1
MAX_EAR = 5.0  # no eye is five times as high as wide; 0.3 is typical

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
    """The camera; `fps` is the delivered frame rate."""

    source = Text(max_length=32, **OPTIONAL)  # type: ignore[assignment]
    width = Count(max_value=65_535, **OPTIONAL)
    height = Count(max_value=65_535, **OPTIONAL)
    fps = Number(min_value=0, max_value=1000, **OPTIONAL)


class MetricsSerializer(StrictSerializer):
    """The session's metrics. Null means "not measured", never 0. Shares are 0 to 1."""

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
        """Check that there are no more partial blinks than blinks."""
        whole, part = attrs.get("blink_count"), attrs.get("partial_blink_count")
        if whole is not None and part is not None and part > whole:
            raise ValidationError(
                {"partial_blink_count": f"expected at most blink_count, found {part} of {whole}"}
            )
        return attrs


class MinuteSerializer(StrictSerializer):
    """One minute of the session, counted from 0. Values are null if no face was seen."""

    minute = Count(max_value=MAX_MINUTES - 1)
    valid_s = Number(min_value=0, max_value=60.5, **OPTIONAL)
    blinks = Count(**OPTIONAL)
    ear_mean = Number(min_value=0, max_value=MAX_EAR, **OPTIONAL)
    perclos = Number(min_value=0, max_value=1, **OPTIONAL)


def of_one_length(columns: dict[str, Any]) -> dict[str, Any]:
    """Return the columns. Raises `ValidationError` if their lengths differ."""
    lengths = [len(column) for column in columns.values() if column is not None]
    if len(set(lengths)) > 1:
        raise ValidationError(f"expected columns of one length, found {lengths}")
    return columns


class BlinksSerializer(StrictSerializer):
    """All blinks, as columns of equal length: time, duration, amplitude (0 to 1), completeness.

    `closure_left` and `closure_right` are how far each eye closed (0 to 1); null if that eye was
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
        """Check that all columns have the same length."""
        return of_one_length(attrs)


class RemindersSerializer(StrictSerializer):
    """When the device's light asked for blinks, as columns of equal length.

    The rates are those of the three valid minutes before and after; null after means unknown.
    """

    at_s = Column(child=Number(min_value=0, max_value=1e9), max_length=MAX_MINUTES)
    rate_before_per_min = Column(
        child=Number(min_value=0, max_value=10_000), max_length=MAX_MINUTES
    )
    rate_after_per_min = Column(
        child=Number(min_value=0, max_value=10_000, allow_null=True), max_length=MAX_MINUTES
    )

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Check that all columns have the same length."""
        return of_one_length(attrs)


class AgentSerializer(StrictSerializer):
    """The agent's version and its face model."""

    version = Text(max_length=64, **OPTIONAL)
    model = Text(max_length=128, **OPTIONAL)


class CheckSerializer(StrictSerializer):
    """A check of the counting: how many of the blinks that were `asked` for were `found`.

    `false`: blinks that cannot have been. `look_down`: `told_apart`, `taken_for_shut` or
    `not_found`. `shut_s`: how long the eyes were found shut; null if they were not.
    """

    asked = Count(max_value=1000)
    found = Count(max_value=1000)
    false = Count(max_value=1000)
    look_down = Text(max_length=32)
    shut_s = Number(min_value=0, max_value=1e6, **OPTIONAL)
    passed = Flag()


class SessionDocumentSerializer(StrictSerializer):
    """A session document. Each revision is complete. Unknown keys are stored unchanged."""

    schema = Count(min_value=1, max_value=NEWEST_SCHEMA)
    session_id = SessionId()
    revision = Count(min_value=1, max_value=MAX_REVISION)
    state = Choice(choices=DOCUMENT_STATES)
    started_at = Instant()
    ended_at = Instant(**OPTIONAL)
    ended_by = Choice(choices=ENDED_BY, **OPTIONAL)
    clock = ClockSerializer(**OPTIONAL)
    camera = CameraSerializer(**OPTIONAL)
    metrics = MetricsSerializer(**OPTIONAL)
    minutes = Rows(child=MinuteSerializer(), max_length=MAX_MINUTES, **OPTIONAL)
    blinks = BlinksSerializer(**OPTIONAL)
    reminders = RemindersSerializer(**OPTIONAL)
    agent = AgentSerializer(**OPTIONAL)
    check = CheckSerializer(**OPTIONAL)
    activity = Word(choices=ACTIVITIES, **OPTIONAL)

    def validate_minutes(self, minutes: list[dict[str, Any]] | None) -> Any:
        """Check that each minute occurs once and in order."""
        numbers = [minute["minute"] for minute in minutes or []]
        if numbers != sorted(set(numbers)):
            raise ValidationError("expected each minute once and in order")
        return minutes

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Check that state, start and end are consistent."""
        over = attrs["state"] != State.ACTIVE
        ended_at = attrs.get("ended_at")
        if over and ended_at is None:
            raise ValidationError({"ended_at": "expected an end, as the session is over"})
        if not over and (ended_at is not None or attrs.get("ended_by") is not None):
            raise ValidationError({"ended_at": "expected no end, as the session is active"})
        # Without a synchronised clock, the end may be before the start: the date is then uncertain.
        believed = (attrs.get("clock") or {}).get("synchronized")
        if believed and ended_at is not None and ended_at < attrs["started_at"]:
            raise ValidationError({"ended_at": "expected an end after the start"})
        return attrs


COLUMNS = (BlinksSerializer, RemindersSerializer)
# A single instance, because creating the fields takes longer than validating with them.
_DOCUMENT = SessionDocumentSerializer()
_ENVELOPE = {"schema", "session_id", "revision", "started_at", "ended_at"}


def validated(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return the document's known keys. Raises `ValidationError` with the errors by key."""
    if not isinstance(document, Mapping):
        refuse("a JSON object", document)
    schema = document.get("schema")
    if type(schema) is int and SCHEMA < schema <= NEWEST_SCHEMA:
        return _readable(document)
    known: dict[str, Any] = _DOCUMENT.run_validation(document)
    return known


def expect_numbers(known: Mapping[str, Any]) -> None:
    """Check that a finished session has `metrics`, not empty, and `minutes`.

    Otherwise the document would replace one that has them. The check looks only at this document,
    not at the stored one, so that the result doesn't depend on the order of arrival. Newer schemas
    are not checked, because their numbers may be elsewhere. Raises `ValidationError`.
    """
    if known["schema"] > SCHEMA or known["state"] == State.ACTIVE:
        return
    if not known.get("metrics"):
        raise ValidationError({"metrics": "expected final metrics, as the session is over"})
    if known.get("minutes") is None:
        raise ValidationError({"minutes": "expected a list, as the session is over"})


def _readable(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return the readable parts of a document of a newer schema. Its envelope must be valid."""
    known = {}
    for name, field in _DOCUMENT.fields.items():
        if name not in _ENVELOPE:
            known[name] = _readable_value(field, document.get(name))
            continue
        try:
            known[name] = field.run_validation(document.get(name))
        except ValidationError as error:
            raise ValidationError({name: error.detail}) from None
    if known["state"] is None:  # an unknown state: the session is over if it has an end
        known["state"] = State.ACTIVE if known["ended_at"] is None else State.ENDED
    elif known["state"] != State.ACTIVE and known["ended_at"] is None:
        raise ValidationError({"ended_at": "expected an end, as the session is over"})
    return known


def _readable_value(field: Any, value: Any) -> Any:
    """Return the value validated by `field`, or `None` if it is invalid; objects key by key."""
    if isinstance(field, serializers.Serializer) and not isinstance(field, COLUMNS):
        if not isinstance(value, Mapping):
            return None
        return {key: _readable_value(part, value.get(key)) for key, part in field.fields.items()}
    try:
        return field.run_validation(value)
    except ValidationError:
        return None


def readable_part(document: Mapping[str, Any], name: str) -> Any:
    """Return the valid part of one of the document's keys, or `None`."""
    return _readable_value(_DOCUMENT.fields[name], document.get(name))


def unknown_key(name: str, text: str) -> ValidationError:
    """Return the error for a key that a person's request can't have."""
    return ValidationError({quoted(name).strip("'"): text}, "unknown_key")


class StartSerializer(serializers.Serializer[Any]):
    """The parameters for starting a session without a device."""

    started_at = Instant(**OPTIONAL)
    timezone = Text(max_length=64, **OPTIONAL)
    activity = Choice(choices=ACTIVITIES, **OPTIONAL)

    def validate_timezone(self, name: str | None) -> str | None:
        """Check that the time zone is known."""
        if name is not None and name not in known_zones():
            refuse("a time zone such as Europe/Berlin", name)
        return name

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Check that there are no other keys."""
        for name in self.initial_data:
            if name not in self.fields:
                raise unknown_key(name, "expected started_at, timezone or activity")
        return attrs


class StartOnDeviceSerializer(serializers.Serializer[Any]):
    """The parameters for starting a session on a device."""

    device = SessionId()
    activity = Choice(choices=ACTIVITIES, **OPTIONAL)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Check that there are no other keys: a device uses its own clock and time zone."""
        for name in self.initial_data:
            if name not in self.fields:
                raise unknown_key(name, "expected device or activity")
        return attrs


class AcceptanceSerializer(serializers.Serializer[Any]):
    """The outcome of a document. It is committed before it is sent."""

    session_id = serializers.CharField(allow_null=True)
    revision = serializers.IntegerField(allow_null=True)
    outcome = serializers.ChoiceField(choices=OUTCOMES)
    reason = serializers.CharField(allow_null=True)


class ChangesSerializer(SessionDocumentSerializer):
    """Part of a session document. Objects are merged key by key; null is a value.

    `blinks` and `reminders` are replaced whole, and a `blink_count` replaces `partial_blink_count`.
    """

    def get_fields(self) -> dict[str, Any]:
        """Return the fields, all of them optional."""
        fields = super().get_fields()
        for field in fields.values():
            field.required = False
        return fields

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Check what can be checked without the stored document."""
        metrics = attrs.get("metrics") or {}
        if metrics.get("partial_blink_count") is not None and metrics.get("blink_count") is None:
            text = "expected together with blink_count"
            raise ValidationError({"metrics": {"partial_blink_count": [text]}})
        return attrs


_CHANGES = ChangesSerializer()


def expect_valid_changes(changes: Mapping[str, Any]) -> None:
    """Check changes on their own, so that errors only tell what was sent.

    Raises `ValidationError` with the errors by key.
    """
    _CHANGES.run_validation(changes)
