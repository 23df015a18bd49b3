"""Parse untrusted bytes as JSON, with limits on size and depth."""

import json
import math
from collections.abc import Mapping
from typing import IO, Any, NoReturn

import msgspec
from django.conf import settings
from rest_framework.exceptions import APIException, ParseError
from rest_framework.parsers import JSONParser

# A two-hour session with 5,000 blinks takes 150 KB. Seven times that is not a session.
MAX_DOCUMENT_BYTES: int = settings.DATA_UPLOAD_MAX_MEMORY_SIZE


class UnreadableError(ValueError):
    """Raised for invalid JSON; the message says what was expected and found."""


class TooLargeError(UnreadableError):
    """Raised for more than `MAX_DOCUMENT_BYTES`."""


class PayloadTooLarge(APIException):
    """The request body is too large: status 413."""

    status_code = 413
    default_code = "too_large"
    default_detail = f"expected at most {MAX_DOCUMENT_BYTES} bytes"


# A session document has four levels of nesting; a future version may have a few more.
MAX_DEPTH = 32
TOO_DEEP = f"expected at most {MAX_DEPTH} levels of nesting, found more"


def _refuse_constant(name: str) -> NoReturn:
    raise UnreadableError(f"expected finite numbers, found {name}")


def _finite(digits: str) -> float:
    number = float(digits)
    if math.isinf(number):
        raise UnreadableError("expected finite numbers, found one that is too large")
    return number


def parse_json(raw: bytes) -> Any:
    """Parse `raw` (UTF-8) as JSON. Raises `UnreadableError`, never anything else."""
    if len(raw) > MAX_DOCUMENT_BYTES:
        raise TooLargeError(f"expected at most {MAX_DOCUMENT_BYTES} bytes, found {len(raw)}")
    try:
        value = _DECODER.decode(raw)
    except (msgspec.MsgspecError, RecursionError):
        value = _parse_slowly(raw)
    if _deeper_than(MAX_DEPTH, value):
        raise UnreadableError(TOO_DEEP)
    return value


# Four times as fast as the standard library, and returns the same values. It accepts less: lone
# surrogates and very long numbers are left to the standard library.
_DECODER = msgspec.json.Decoder()


def split_array(raw: bytes) -> list[bytes]:
    """Return the text of each element of a JSON array, not parsed. Raises `UnreadableError`."""
    try:
        return [bytes(each) for each in _SPLITTER.decode(raw)]
    except (msgspec.MsgspecError, RecursionError):
        value = parse_json(raw)
    if not isinstance(value, list):
        raise UnreadableError(f"expected a JSON array, found {type(value).__name__}")
    return [json.dumps(each).encode() for each in value]


_SPLITTER = msgspec.json.Decoder(list[msgspec.Raw])


def _parse_slowly(raw: bytes) -> Any:
    """Parse JSON with the standard library, whose errors name the place and the reason."""
    try:
        return json.loads(raw.decode("utf-8"), parse_constant=_refuse_constant, parse_float=_finite)
    except UnicodeDecodeError as error:
        raise UnreadableError(f"expected UTF-8, found an invalid byte at {error.start}") from None
    except RecursionError:
        raise UnreadableError(TOO_DEEP) from None
    except json.JSONDecodeError as error:
        raise UnreadableError(f"expected JSON: {error}") from None
    except UnreadableError:
        raise
    except ValueError:  # an integer of thousands of digits
        raise UnreadableError("expected shorter numbers, found one with too many digits") from None


def _deeper_than(most: int, value: Any) -> bool:
    level = [value] if type(value) in _CONTAINERS else []
    for _ in range(most):
        insides = [part.values() if type(part) is dict else part for part in level]
        # Most lists are columns of numbers: skip them without a Python step for each number.
        insides = [inside for inside in insides if not _CONTAINERS.isdisjoint(map(type, inside))]
        level = [each for inside in insides for each in inside if type(each) in _CONTAINERS]
        if not level:
            return False
    return True


_CONTAINERS = frozenset({dict, list})


class Received(dict[str, Any]):
    """A JSON object together with its original text. Don't change the object."""

    def __init__(self, value: Mapping[str, Any], text: str) -> None:
        super().__init__(value)
        self.text = text


def parse_document(raw: bytes) -> Received:
    """Parse `raw` as a JSON object. Raises `UnreadableError`."""
    value = parse_json(raw)
    if not isinstance(value, dict):
        raise UnreadableError(f"expected a JSON object, found {type(value).__name__}")
    return Received(value, raw.decode())


def document_text(document: Mapping[str, Any]) -> str:
    """Return the document as ASCII JSON, which both databases store unchanged.

    Raises `UnreadableError` for a number that JSON can't express.
    """
    if isinstance(document, Received) and document.text.isascii():
        return document.text
    try:
        return json.dumps(document, allow_nan=False, separators=(",", ":"))
    except ValueError:
        raise UnreadableError("expected finite numbers") from None


def document_size(document: Mapping[str, Any]) -> int:
    """Return the size in bytes of the shortest body for this document: compact JSON in UTF-8."""
    text = json.dumps(document, ensure_ascii=False, separators=(",", ":"))
    return len(text.encode("utf-8", "surrogatepass"))


class BoundedJSONParser(JSONParser):
    """Parse request bodies with `parse_json`; objects become `Received`, with their text."""

    def parse(
        self,
        stream: IO[Any],
        media_type: str | None = None,  # noqa: ARG002
        parser_context: Mapping[str, Any] | None = None,  # noqa: ARG002
    ) -> Any:
        """Return the parsed value. Raises `PayloadTooLarge` or `ParseError`."""
        try:
            return self.value_of(stream.read(MAX_DOCUMENT_BYTES + 1))
        except TooLargeError as error:
            raise PayloadTooLarge from error
        except UnreadableError as error:
            raise ParseError(str(error)) from error

    def value_of(self, raw: bytes) -> Any:
        """Return the parsed value of a body. Raises `UnreadableError`."""
        value = parse_json(raw)
        return Received(value, raw.decode()) if isinstance(value, dict) else value


class BatchParser(BoundedJSONParser):
    """Split a request body, a JSON array, into the text of its elements: `list[bytes]`."""

    def value_of(self, raw: bytes) -> list[bytes]:
        """Return the elements. Raises `UnreadableError`."""
        if len(raw) > MAX_DOCUMENT_BYTES:
            raise TooLargeError
        return split_array(raw)
