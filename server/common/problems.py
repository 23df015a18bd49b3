"""Errors as API answers: their form, and their sentences."""

from collections.abc import Mapping
from typing import Any

from rest_framework import serializers
from rest_framework.exceptions import APIException

# Seconds. A database or a broker that restarts is back soon; clients add their own jitter.
RETRY_AFTER_S = 5
# What can become of a session document.
OUTCOMES = ["stored", "duplicate", "stale", "rejected"]


class ProblemSerializer(serializers.Serializer[Any]):
    """What is wrong: in a sentence, and by the name of each part where there are several.

    Of a document that was refused: `outcome` and `reason` as in an acceptance.
    """

    detail = serializers.CharField(required=False)
    session_id = serializers.CharField(required=False, allow_null=True)
    revision = serializers.IntegerField(required=False, allow_null=True)
    outcome = serializers.ChoiceField(choices=OUTCOMES, required=False)
    reason = serializers.CharField(required=False, allow_null=True)
    errors = serializers.JSONField(required=False)  # type: ignore[assignment]


def first_errors(errors: Any, path: str = "", most: int = 5) -> list[str]:
    """The errors of a document as sentences, `metrics.coverage: expected …`, at most `most`."""
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


class BrokerAway(APIException):
    """503, as while the database is away."""

    status_code = 503
    default_code = "broker_away"
    wait = RETRY_AFTER_S  # becomes Retry-After


class Conflict(APIException):
    """409: it can't be asked of things as they are."""

    status_code = 409
    default_code = "conflict"
