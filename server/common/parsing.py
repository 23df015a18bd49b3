"""Bytes from outside -> one JSON value, bounded in size and depth."""

import json
import math
from collections.abc import Mapping
from typing import IO, Any, NoReturn

from rest_framework.exceptions import APIException, ParseError
from rest_framework.parsers import JSONParser

# A two-hour session with 5,000 blinks is 150 KB; what is seven times that is not a session.
MAX_DOCUMENT_BYTES = 1024 * 1024


class UnreadableError(ValueError):
    """Not JSON as we take it; the message says what was expected and found."""


class TooLargeError(UnreadableError):
    """More than `MAX_DOCUMENT_BYTES`."""


class PayloadTooLarge(APIException):
    """413."""

    status_code = 413
    default_code = "too_large"
    default_detail = f"expected at most {MAX_DOCUMENT_BYTES} bytes"


# A session document has four levels; a newer one may have a few more.
MAX_DEPTH = 32


def _refuse_constant(name: str) -> NoReturn:
    raise UnreadableError(f"expected finite numbers, found {name}")


def _finite(digits: str) -> float:
    number = float(digits)
    if math.isinf(number):
        raise UnreadableError("expected finite numbers, found one that is too large")
    return number


def parse_json(raw: bytes) -> Any:
    """The JSON value in `raw` (UTF-8). Raises `UnreadableError`, never anything else."""
    if len(raw) > MAX_DOCUMENT_BYTES:
        raise TooLargeError(f"expected at most {MAX_DOCUMENT_BYTES} bytes, found {len(raw)}")
    try:
        value = json.loads(
            raw.decode("utf-8"), parse_constant=_refuse_constant, parse_float=_finite
        )
    except UnicodeDecodeError as error:
        raise UnreadableError(f"expected UTF-8, found another byte at {error.start}") from None
    except RecursionError:
        raise UnreadableError(
            f"expected a nesting of at most {MAX_DEPTH}, found a deeper one"
        ) from None
    except json.JSONDecodeError as error:
        raise UnreadableError(f"expected JSON: {error}") from None
    except UnreadableError:
        raise
    except ValueError:  # an integer of thousands of digits
        raise UnreadableError("expected numbers of a usual length") from None
    if _deeper_than(MAX_DEPTH, value):
        raise UnreadableError(f"expected a nesting of at most {MAX_DEPTH}, found a deeper one")
    return value


def _deeper_than(most: int, value: Any) -> bool:
    level = [value] if type(value) in _CONTAINERS else []
    for _ in range(most):
        insides = [part.values() if type(part) is dict else part for part in level]
        # Most lists are columns of numbers: those are passed over without a step for each.
        insides = [inside for inside in insides if not _CONTAINERS.isdisjoint(map(type, inside))]
        level = [each for inside in insides for each in inside if type(each) in _CONTAINERS]
        if not level:
            return False
    return True


_CONTAINERS = frozenset({dict, list})


class Received(dict[str, Any]):
    """A JSON object and the text that it was: `text` is of an object that nobody changed."""

    def __init__(self, value: Mapping[str, Any], text: str) -> None:
        super().__init__(value)
        self.text = text


def parse_document(raw: bytes) -> Received:
    """The JSON object in `raw`. Raises `UnreadableError`."""
    value = parse_json(raw)
    if not isinstance(value, dict):
        raise UnreadableError(f"expected a JSON object, found {type(value).__name__}")
    return Received(value, raw.decode())


def document_text(document: Mapping[str, Any]) -> str:
    """The document as JSON in ASCII: what either database keeps as it is, whatever is in it.

    Raises `UnreadableError` for a number that JSON does not have.
    """
    if isinstance(document, Received) and document.text.isascii():
        return document.text
    try:
        return json.dumps(document, allow_nan=False, separators=(",", ":"))
    except ValueError:
        raise UnreadableError("expected finite numbers") from None


def document_size(document: Mapping[str, Any]) -> int:
    """How many bytes it is as the shortest body that could bring it: compact, in UTF-8."""
    text = json.dumps(document, ensure_ascii=False, separators=(",", ":"))
    return len(text.encode("utf-8", "surrogatepass"))


class BoundedJSONParser(JSONParser):
    """JSON as `parse_json` takes it; an object comes with its text."""

    def parse(
        self,
        stream: IO[Any],
        media_type: str | None = None,  # noqa: ARG002
        parser_context: Mapping[str, Any] | None = None,  # noqa: ARG002
    ) -> Any:
        """The value; `PayloadTooLarge` or `ParseError` otherwise."""
        try:
            raw = stream.read(MAX_DOCUMENT_BYTES + 1)
            value = parse_json(raw)
            return Received(value, raw.decode()) if isinstance(value, dict) else value
        except TooLargeError as error:
            raise PayloadTooLarge from error
        except UnreadableError as error:
            raise ParseError(str(error)) from error
