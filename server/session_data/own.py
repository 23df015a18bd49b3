"""Read what a person sends of a session that no device measures.

A person may send a session document, a part of one, or what `GET` gives for the session: there the
metrics are at the top level, beside keys that can only be read. Nothing is dropped silently: other
keys are refused by name, and so is a key that can only be read if its value is not the stored one.
"""

from collections.abc import Mapping
from difflib import get_close_matches
from itertools import islice
from typing import Any

from rest_framework import serializers
from rest_framework.exceptions import ErrorDetail, ValidationError

from server.common.fields import Choice, Rows, Text, quoted
from server.common.problems import MOST_TOLD
from server.session_data.history import COLUMNS
from server.session_data.models import ACTIVITIES, METRICS, SessionData
from server.session_data.serializers import (
    OPTIONAL,
    ChangesSerializer,
    MetricsSerializer,
    readable_part,
)
from server.session_data.told import SessionDetailSerializer, entry, eyes_part

# Another name of a metric -> the metric.
ALIASES = {"blinks_per_minute": "blink_rate_per_min"}
# A key that can only be read -> the keys of the document that it follows from, if any.
READ_ONLY = {
    "id": "",
    "user": "",
    "device": "",
    "received_at": "",
    "updated_at": "",
    "placed_at": "started_at",
    "local_day": "started_at, ended_at or clock",
    "date_uncertain": "started_at, ended_at or clock",
    "timezone": "clock.timezone",
    "utc_offset_minutes": "clock.utc_offset_minutes",
    "fps": "camera.fps",
    "agent_version": "agent.version",
    "activity_chosen": "activity",
    "eyes": "blinks",
}


class OwnChangesSerializer(ChangesSerializer):
    """Part of a session document. A person may send the metrics at the top level, as history does.

    Objects are merged key by key; null is a value. `blinks` and `reminders` are replaced whole, and
    a `blink_count` replaces `partial_blink_count` too.
    """

    quality = serializers.ListField(child=Text(max_length=64), max_length=100, **OPTIONAL)
    activity = Choice(choices=ACTIVITIES, **OPTIONAL)  # type: ignore[assignment]

    def get_fields(self) -> dict[str, Any]:
        """Return the fields, with the metrics and their other names added."""
        flat, other = MetricsSerializer().get_fields(), MetricsSerializer().get_fields()
        return {
            **super().get_fields(),
            **{name: flat[name] for name in METRICS},
            **{name: other[metric] for name, metric in ALIASES.items()},
        }


_CHANGES = OwnChangesSerializer()
_DETAIL = SessionDetailSerializer()


def parts_of(body: Mapping[str, Any], row: SessionData) -> dict[str, Any]:
    """Return what a person sends of the session as parts of its document.

    Raises `ValidationError` with the errors by key.
    """
    sent = dict(body)
    read = {name: sent.pop(name) for name in READ_ONLY if name in sent}
    if unknown := _unknown(_CHANGES, sent):
        raise ValidationError(unknown)
    _CHANGES.run_validation(sent)
    if not _is_older(body.get("revision"), row):  # an older one changes nothing
        _expect_unchanged(read, row)
    flat: dict[str, Any] = {}
    for name in (*METRICS, *ALIASES):
        if name in sent:
            _add_once(flat, ALIASES.get(name, name), sent.pop(name), name)
    for name, value in (sent.get("metrics") or {}).items():
        _add_once(flat, name, value, name)
    return {**sent, "metrics": flat} if flat else sent


def is_same(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Return whether two documents say the same, whatever their revisions."""
    return bool(_told({**one, "revision": None}) == _told({**other, "revision": None}))


def _told(value: Any) -> Any:
    """Return the value without nulls and what is empty: `GET` gives these for missing keys."""
    if isinstance(value, dict):
        told = {key: _told(each) for key, each in value.items()}
        return {key: each for key, each in told.items() if each not in (None, [], {})}
    return [_told(each) for each in value] if isinstance(value, list) else value


def _is_older(revision: object, row: SessionData) -> bool:
    return type(revision) is int and revision < row.revision


def _add_once(metrics: dict[str, Any], name: str, value: Any, sent_as: str) -> None:
    if metrics.setdefault(name, value) != value:
        raise ValidationError({sent_as: f"expected one value for {name}, found two"})


def _unknown(serializer: serializers.Serializer[Any], sent: Mapping[str, Any]) -> dict[str, Any]:
    """Return errors for the first keys that the serializer doesn't know, also in its objects."""
    fields = serializer.fields
    strange = islice((name for name in sent if name not in fields), MOST_TOLD)
    errors: dict[str, Any] = {
        quoted(name).strip("'"): [ErrorDetail(_expected(name, fields), "unknown_key")]
        for name in strange
    }
    for name, field in fields.items():
        value = sent.get(name)
        inside: dict[str, Any] = {}
        if isinstance(field, serializers.Serializer) and isinstance(value, Mapping):
            inside = _unknown(field, value)
        elif isinstance(field, Rows) and isinstance(value, list):
            rows = ((n, _unknown(field.child, row)) for n, row in _objects(value))
            inside = dict(islice(((str(n), found) for n, found in rows if found), MOST_TOLD))
        if inside:
            errors[name] = inside
    return errors


def _objects(rows: list[Any]) -> Any:
    return ((n, row) for n, row in enumerate(rows) if isinstance(row, Mapping))


def _expected(name: str, known: Mapping[str, Any]) -> str:
    near = get_close_matches(name[:64], list(known), 1)
    such = f"such as {near[0]}" if near else f"as in the API reference ({', '.join(known)[:40]}...)"
    return f"expected a key {such}, found {quoted(name)}"


def _expect_unchanged(read: Mapping[str, Any], row: SessionData) -> None:
    """Raise `ValidationError` for a key that can only be read, if its value is not the stored."""
    if not read:
        return
    found = SessionData.objects.filter(pk=row.pk).values(*COLUMNS).get()
    stored = entry(found) | {"user": row.user.username}
    if "eyes" in read:
        stored["eyes"] = eyes_part(readable_part(row.document, "blinks"))
    errors = {}
    for name, value in read.items():
        if _value(name, value) != _value(name, stored[name]):
            source = READ_ONLY[name]
            change = f" (send {source} to change it)" if source else ""
            text = f"expected the value that was read{change}, found {quoted(value)}"
            errors[name] = [ErrorDetail(text, "read_only")]
    if errors:
        raise ValidationError(errors)


def _value(name: str, value: Any) -> Any:
    """Return the value of that key of `SessionDetailSerializer`: moments may be written otherwise.

    Raises `ValidationError`, which names the key.
    """
    try:
        return _DETAIL.fields[name].run_validation(value)
    except ValidationError as error:
        raise ValidationError({name: error.detail}) from None
