"""Parse and validate a usual document in one pass, several times as fast as with serializers.

The types are made from the serializers, and accept less: no unknown keys, no newer schema, no text
beyond ASCII. A document that they don't accept is left to the serializers, which also name what is
wrong with it.
"""

from collections.abc import Callable, Mapping
from types import GenericAlias, MappingProxyType
from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType
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
    Word,
)
from server.common.parsing import MAX_DOCUMENT_BYTES
from server.session_data.serializers import SCHEMA, SessionDocumentSerializer, expect_numbers

# JSON's only way to write NUL, which PostgreSQL can't store in a text.
NUL = b"\\u0000"
# Keys that today's devices send, and that nothing validates on arrival, in their usual form.
UNREAD: dict[str, Any] = {
    "quality": list[str],
    "aim": dict[str, str | bool | int | float | None],
}


def usual(payload: bytes, *, from_device: bool) -> dict[str, Any] | None:
    """Return what `validated` returns for the parsed payload.

    Returns `None` if the document is invalid, or not a usual one, or lacks the numbers that are
    expected from devices.
    """
    if len(payload) > MAX_DOCUMENT_BYTES or not payload.isascii() or NUL in payload:
        return None
    try:
        known = _checked(msgspec.to_builtins(_DECODER.decode(payload)))
        if known and from_device:
            expect_numbers(known)
        return known
    except (msgspec.MsgspecError, ValidationError):
        return None


def _checked(known: dict[str, Any]) -> dict[str, Any] | None:
    """Check what the types can't, with the serializers, and convert as they do."""
    if known["schema"] != SCHEMA:
        return None
    for name in UNREAD:
        known.pop(name, None)
    for name, field in _CONVERTED:
        if known.get(name) is not None:
            known[name] = field.to_internal_value(known[name])
    for name, serializer in _NESTED:
        if known.get(name) is not None:
            known[name] = serializer.validate(known[name])
    _DOCUMENT.validate_minutes(known.get("minutes"))
    return _DOCUMENT.validate(known)


def _type_of(field: Any) -> Any:
    """Return the type of the values that the field accepts."""
    kind = _KINDS.get(type(field), _struct_of)(field)
    return kind | None if field.allow_null else kind


_KINDS: dict[type, Callable[[Any], Any]] = {
    Number: lambda field: Annotated[float, Meta(ge=field.low, le=field.high)],
    Count: lambda field: Annotated[int, Meta(ge=field.low, le=field.high)],
    Flag: lambda _: bool,
    Text: lambda field: Annotated[str, Meta(max_length=field.longest)],
    Choice: lambda field: Literal[tuple(field.choices)],
    Word: lambda field: Literal[tuple(field.choices)],  # others are left to the serializers
    SessionId: lambda _: str,  # see `_CONVERTED`
    Instant: lambda _: str,
    Column: lambda field: _list_of(_type_of(field.child), field.longest),
    Rows: lambda field: _list_of(_struct_of(field.child), field.max_length),
}


def _list_of(kind: Any, longest: int) -> Any:
    return Annotated[GenericAlias(list, (kind,)), Meta(max_length=longest)]


def _struct_of(serializer: Any, also: Mapping[str, Any] = MappingProxyType({})) -> Any:
    """Return the type of the objects that the serializer accepts, with no keys but `also`."""
    members = [
        (name, _type_of(field)) if field.required else (name, _type_of(field) | UnsetType, UNSET)
        for name, field in serializer.fields.items()
    ]
    members += [(name, kind | UnsetType, UNSET) for name, kind in also.items()]
    name = type(serializer).__name__.removesuffix("Serializer")
    return msgspec.defstruct(name, members, kw_only=True, forbid_unknown_fields=True)


_DOCUMENT = SessionDocumentSerializer()
_CONVERTED = [
    (name, field)
    for name, field in _DOCUMENT.fields.items()
    if isinstance(field, (SessionId, Instant))
]
_NESTED = [
    (name, field) for name, field in _DOCUMENT.fields.items() if isinstance(field, StrictSerializer)
]
_DECODER = msgspec.json.Decoder(_struct_of(_DOCUMENT, UNREAD))
