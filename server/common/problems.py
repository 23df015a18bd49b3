"""API errors: their exceptions, their JSON form, and their messages."""

import re
from collections.abc import Iterable, Sequence
from typing import Any, get_args

from django.core.exceptions import ValidationError as ModelError
from drf_standardized_errors.formatter import ExceptionFormatter, flatten_errors
from drf_standardized_errors.types import Error, ErrorResponse, ErrorType
from rest_framework import serializers
from rest_framework.exceptions import (
    APIException,
    ErrorDetail,
    ParseError,
    Throttled,
    ValidationError,
)

from server.common.parsing import PayloadTooLarge

# Seconds. A database or broker that restarts is soon available again; clients add their own jitter.
RETRY_AFTER_S = 5
# The possible outcomes of sending a session document.
OUTCOMES = ["stored", "duplicate", "stale", "rejected"]
# The possible types of an error.
TYPES = list(get_args(ErrorType))
# Matches the value in "coverage: expected at most 1, found 1.2; …"
FOUND = re.compile(r", found [^;]*")
# Maximum number of errors in a sentence.
MOST_TOLD = 5


class ProblemSerializer(serializers.Serializer[Any]):
    """An error: `code` is for programs, `detail` is a sentence, `errors` has the messages by field.

    With several errors, `code` is that of the first. For a rejected document, `outcome` and
    `reason` are the same as in an acceptance.
    """

    type = serializers.ChoiceField(choices=TYPES)
    code = serializers.CharField()
    detail = serializers.CharField()
    session_id = serializers.CharField(required=False, allow_null=True)
    revision = serializers.IntegerField(required=False, allow_null=True)
    outcome = serializers.ChoiceField(choices=OUTCOMES, required=False)
    reason = serializers.CharField(required=False, allow_null=True)
    errors = serializers.JSONField(required=False)  # type: ignore[assignment]


class ProblemFormatter(ExceptionFormatter):
    """Formats an API error as `ProblemSerializer` describes it."""

    def format_error_response(self, error_response: ErrorResponse) -> dict[str, Any]:
        """Return the response's JSON object."""
        detail = _sentence(error_response.errors)
        code = error_response.errors[0].code
        told = {"type": error_response.type, "code": code, "detail": detail}
        if isinstance(self.exc, ValidationError):
            return told | {"errors": _lists(self.exc.detail)}
        if isinstance(self.exc, (ParseError, PayloadTooLarge)):
            # Permanent: the same bytes will be rejected again, so a device parks them.
            return told | {"outcome": "rejected", "reason": detail}
        return told


def problem(error: APIException) -> dict[str, Any]:
    """Return the error in the form of `ProblemSerializer`."""
    context: Any = {}  # not used for formatting
    formatted: dict[str, Any] = ProblemFormatter(error, context, error).run()
    return formatted


def sentence(detail: Any) -> str:
    """Return the first of a `ValidationError`'s errors as text: `metrics.coverage: expected …`."""
    return _sentence(flatten_errors(detail))


def without_found(told: Any) -> Any:
    """Return a sentence, or a `ValidationError`'s errors, without the values that were found."""
    if isinstance(told, dict):
        return {key: without_found(each) for key, each in told.items()}
    if isinstance(told, list):
        return [without_found(each) for each in told]
    if isinstance(told, ErrorDetail):
        return ErrorDetail(FOUND.sub("", told), told.code)
    return FOUND.sub("", told) if isinstance(told, str) else told


def _lists(detail: Any) -> Any:
    """Return a `ValidationError`'s errors with a list of messages for every key."""
    if isinstance(detail, dict):
        return {key: _lists(each) for key, each in detail.items()}
    return detail if isinstance(detail, list) else [detail]


def _sentence(errors: Sequence[Error]) -> str:
    return "; ".join(map(_words, errors[:MOST_TOLD]))


def _words(error: Error) -> str:
    where = (error.attr or "").removesuffix("non_field_errors").removesuffix(".")
    return f"{where}: {error.detail}" if where else error.detail


def from_model(error: ModelError) -> ValidationError:
    """Return a model's `ValidationError` as REST framework's, with the same codes."""
    if hasattr(error, "error_dict"):
        return ValidationError({name: _details(each) for name, each in error.error_dict.items()})
    return ValidationError(_details(error.error_list))


def _details(errors: Iterable[ModelError]) -> list[ErrorDetail]:
    return [ErrorDetail(text, each.code or "invalid") for each in errors for text in each.messages]


class DatabaseUnavailable(APIException):
    """The database is unavailable: status 503."""

    status_code = 503
    default_code = "database_unavailable"
    default_detail = "the database is unavailable"
    wait = RETRY_AFTER_S  # sent as Retry-After


class BrokerUnavailable(APIException):
    """The broker is unavailable: status 503, as when the database is unavailable."""

    status_code = 503
    default_code = "broker_unavailable"
    wait = RETRY_AFTER_S


class BadRequest(APIException):
    """The request is invalid before any view sees it: status 400."""

    status_code = 400
    default_code = "bad_request"
    default_detail = "Bad request."


class TooManyAttempts(Throttled):
    """Too many wrong passwords or codes: status 429, unlike the limit of requests."""

    default_code = "too_many_attempts"


class Conflict(APIException):
    """The request conflicts with the current state: status 409."""

    status_code = 409

    def __init__(self, detail: str, code: str) -> None:
        super().__init__(detail, code)
