"""Strict JSON fields: a number must be a JSON number, not a string or boolean that converts to one.

Each error says what was expected and what was found. `allow_null` handles `None` before the field
is called. The fields check ranges themselves, so that each error is one sentence.
"""

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import cached_property
from typing import Any, NoReturn
from uuid import UUID

from rest_framework import serializers
from rest_framework.exceptions import ValidationError
from rest_framework.serializers import as_serializer_error

MAX_COUNT = 2**31 - 1  # the maximum of an integer column in PostgreSQL
CANONICAL_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def quoted(value: object) -> str:
    """Return a short ASCII form of a value for an error message, safe to print anywhere."""
    if isinstance(value, (dict, list)):
        return "an object" if isinstance(value, dict) else f"a list of {len(value)}"
    text = ascii(value[:40] if isinstance(value, str) else value)
    text = text if len(text) <= 40 else text[:37] + "..."
    return text.replace(";", ",")  # a semicolon separates errors


def refuse(expected: str, found: object) -> NoReturn:
    """Raise a `ValidationError` that says what was expected and found."""
    raise ValidationError(f"expected {expected}, found {quoted(found)}")


class Number(serializers.FloatField):
    """A finite JSON number from `min_value` to `max_value`."""

    def __init__(self, *, min_value: float, max_value: float, **kwargs: Any) -> None:
        super().__init__(min_value=min_value, max_value=max_value, **kwargs)
        self.low, self.high = min_value, max_value
        self.validators = []

    def to_internal_value(self, data: object) -> float:
        """Return the number as a float."""
        if type(data) in (int, float) and self.low <= data <= self.high:  # type: ignore[operator]
            return float(data)  # type: ignore[arg-type]
        refuse(f"a number from {self.low:g} to {self.high:g}", data)


class Count(serializers.IntegerField):
    """A whole JSON number from `min_value` to `max_value`; 5.0 counts as 5."""

    def __init__(self, *, min_value: int = 0, max_value: int = MAX_COUNT, **kwargs: Any) -> None:
        super().__init__(min_value=min_value, max_value=max_value, **kwargs)
        self.low, self.high = min_value, max_value
        self.validators = []

    def to_internal_value(self, data: object) -> int:
        """Return the number as an int."""
        whole = type(data) is int or (type(data) is float and data.is_integer())
        if whole and self.low <= data <= self.high:  # type: ignore[operator]
            return int(data)  # type: ignore[call-overload, no-any-return]
        refuse(f"a whole number from {self.low} to {self.high}", data)


class Flag(serializers.BooleanField):
    """A JSON boolean; strings such as "yes" are refused."""

    def to_internal_value(self, data: object) -> bool:
        """Return the boolean."""
        if isinstance(data, bool):
            return data
        refuse("true or false", data)


class Text(serializers.CharField):
    """A string of at most `max_length` characters that both databases can store."""

    def __init__(self, *, max_length: int, **kwargs: Any) -> None:
        super().__init__(max_length=max_length, allow_blank=True, trim_whitespace=False, **kwargs)
        self.longest = max_length

    def run_validation(self, data: Any = serializers.empty) -> Any:
        """Validate without CharField's conversions for HTML forms."""
        return serializers.Field.run_validation(self, data)

    def to_internal_value(self, data: object) -> str:
        """Return the string unchanged."""
        if not isinstance(data, str) or len(data) > self.longest:
            refuse(f"a string of at most {self.longest} characters", data)
        if "\x00" in data or any("\ud800" <= letter <= "\udfff" for letter in data):
            refuse("a string without NUL and lone surrogates", data)
        return data


class Choice(serializers.ChoiceField):
    """One of a fixed set of strings."""

    def to_internal_value(self, data: object) -> str:
        """Return the string unchanged."""
        if isinstance(data, str) and data in self.choices:
            return data
        refuse(f"one of {', '.join(self.choices)}", data)


class Word(serializers.ChoiceField):
    """One of a fixed set of strings; anything else counts as null, and refuses nothing."""

    def to_internal_value(self, data: object) -> str | None:  # type: ignore[override]
        """Return the string, or `None` if it is unknown."""
        return data if isinstance(data, str) and data in self.choices else None


class SessionId(serializers.UUIDField):
    """A UUID in lower case with dashes."""

    def to_internal_value(self, data: object) -> UUID:
        """Return the UUID."""
        if isinstance(data, str) and CANONICAL_UUID.fullmatch(data):
            return UUID(data)
        refuse("a UUID in lower case with dashes", data)


class Instant(serializers.DateTimeField):
    """A date and time in ISO 8601 with a UTC offset; represented in UTC with milliseconds.

    The year must be 1970 (a device whose clock was reset) to 2199, so that date arithmetic never
    overflows.
    """

    def to_internal_value(self, value: object) -> datetime:
        """Return an aware datetime in UTC."""
        try:
            moment = datetime.fromisoformat(value)  # type: ignore[arg-type]
            if moment.tzinfo is not None and 1970 <= moment.astimezone(UTC).year < 2200:
                return moment.astimezone(UTC)
        except (TypeError, ValueError, OverflowError):
            pass
        refuse("a date and time such as 2026-11-22T10:15:30.123Z, from 1970 to 2199", value)

    def to_representation(self, value: datetime) -> str:
        """Format the moment in UTC with milliseconds."""
        return instant_text(value)


def instant_text(moment: datetime) -> str:
    """Format a moment as ISO 8601 in UTC, with milliseconds and Z."""
    text = moment.astimezone(UTC).isoformat(timespec="milliseconds")
    return text.removesuffix("+00:00") + "Z"


_TYPES: dict[type, set[type]] = {Flag: {bool}, Count: {int}, Number: {int, float}}


def all_good(field: Any, values: list[Any]) -> bool:
    """Return whether `field` accepts all values unchanged, without calling it for each."""
    kinds = set(map(type, values))
    if type(None) in kinds and field.allow_null:
        kinds.remove(type(None))
        values = [value for value in values if value is not None]
    if not kinds <= _TYPES[type(field)]:
        return False
    if type(field) is Flag or not values:
        return True
    return bool(field.low <= min(values) and max(values) <= field.high)


class Column(serializers.ListField):
    """A list of at most `max_length` numbers or flags, checked without a call for each."""

    def __init__(self, *, max_length: int, child: Number | Flag, **kwargs: Any) -> None:
        super().__init__(child=child, max_length=max_length, **kwargs)
        self.longest = max_length

    def to_internal_value(self, data: object) -> list[Any]:
        """Return the list unchanged."""
        if not isinstance(data, list) or len(data) > self.longest:
            refuse(f"a list of at most {self.longest}", data)
        if not all_good(self.child, data):
            for value in data:  # raises the error of the first invalid value
                if value is not None or not self.child.allow_null:
                    self.child.to_internal_value(value)
        return data


class StrictSerializer(serializers.Serializer[Any]):
    """A serializer for JSON objects made of these fields.

    It skips what REST framework does for HTML forms, for speed: a session of twenty minutes has
    thirty objects, and a batch has a hundred sessions.
    """

    @cached_property
    def _parts(self) -> list[tuple[str, serializers.Field[Any, Any, Any, Any], Callable[..., Any]]]:
        return [
            (name, field, getattr(self, f"validate_{name}", _unchanged))
            for name, field in self.fields.items()
        ]

    def run_validation(self, data: Any = serializers.empty) -> Any:
        """Return the object's known keys. Raises `ValidationError` with the errors of each key."""
        if data is None or data is serializers.empty:
            return super().run_validation(data)
        known = self.to_internal_value(data)
        try:
            return self.validate(known)
        except ValidationError as error:
            raise ValidationError(as_serializer_error(error)) from None

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        """Validate each key with its own field."""
        if not isinstance(data, Mapping):
            return dict(super().to_internal_value(data))  # raises ValidationError
        known: dict[str, Any] = {}
        errors: dict[str, Any] = {}
        for name, field, check in self._parts:
            value = data.get(name, serializers.empty)
            try:
                if value is None or value is serializers.empty:
                    if value is serializers.empty and not field.required:
                        continue
                    known[name] = check(field.run_validation(value))
                elif isinstance(field, _PLAIN):
                    known[name] = check(field.to_internal_value(value))
                else:
                    known[name] = check(field.run_validation(value))
            except ValidationError as error:
                errors[name] = error.detail
        if errors:
            raise ValidationError(errors)
        return known


_PLAIN = (Number, Count, Flag, Text, Choice, Word, SessionId, Instant, Column)
"""Fields whose `to_internal_value` does all the validation of a value that is present."""


def _unchanged(value: Any) -> Any:
    return value


class Rows(serializers.ListSerializer[Any]):
    """A list of at most `max_length` objects of numbers; `child` describes each."""

    child: StrictSerializer

    def run_validation(self, data: Any = serializers.empty) -> Any:
        """Return each row's known keys. Rows are validated one by one only if one is invalid."""
        longest = self.max_length  # type: ignore[attr-defined] # the stubs lack it
        if type(data) is not list or len(data) > longest or not self._is_good(data):
            return super().run_validation(data)
        return [{name: row[name] for name in self.child.fields} for row in data]

    def _is_good(self, rows: list[Any]) -> bool:
        if not set(map(type, rows)) <= {dict}:
            return False
        try:
            columns = [
                (field, [row[name] for row in rows]) for name, field in self.child.fields.items()
            ]
        except KeyError:
            return False
        return all(all_good(field, values) for field, values in columns)
