"""API errors: their exceptions, their JSON form, and their messages."""

from collections.abc import Mapping
from typing import Any

from rest_framework import serializers
from rest_framework.exceptions import APIException

# Seconds. A database or broker that restarts is soon available again; clients add their own jitter.
RETRY_AFTER_S = 5
# The possible outcomes of sending a session document.
OUTCOMES = ["stored", "duplicate", "stale", "rejected"]


class ProblemSerializer(serializers.Serializer[Any]):
    """An error: `detail` is a sentence, `errors` has the messages by field.

    For a rejected document, `outcome` and `reason` are the same as in an acceptance.
    """

    detail = serializers.CharField(required=False)
    session_id = serializers.CharField(required=False, allow_null=True)
    revision = serializers.IntegerField(required=False, allow_null=True)
    outcome = serializers.ChoiceField(choices=OUTCOMES, required=False)
    reason = serializers.CharField(required=False, allow_null=True)
    errors = serializers.JSONField(required=False)  # type: ignore[assignment]


def first_errors(errors: Any, path: str = "", most: int = 5) -> list[str]:
    """Return at most `most` of a document's errors as text: `metrics.coverage: expected …`."""
    if isinstance(errors, Mapping):
        parts = [(f"{path}.{key}" if path else str(key), part) for key, part in errors.items()]
    elif isinstance(errors, list) and any(isinstance(part, (Mapping, list)) for part in errors):
        parts = [(f"{path}[{place}]", part) for place, part in enumerate(errors) if part]
    else:
        texts = errors if isinstance(errors, list) else [errors]
        where = "" if path in ("", "non_field_errors") else f"{path}: "
        return [f"{where}{text}" for text in texts][:most]
    found: list[str] = []
    for where, part in parts:
        found += first_errors(part, where.removesuffix(".non_field_errors"), most - len(found))
        if len(found) >= most:
            break
    return found


class BrokerUnavailable(APIException):
    """The broker is unavailable: status 503, as when the database is unavailable."""

    status_code = 503
    default_code = "broker_unavailable"
    wait = RETRY_AFTER_S  # REST framework sends it as Retry-After


class Conflict(APIException):
    """The request conflicts with the current state: status 409."""

    status_code = 409
    default_code = "conflict"
