"""Read the server's answers over HTTP."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from agent.records import COMMAND_S, Document
from agent.transport.base import Acknowledgement


def json_of(body: bytes) -> object:
    """Parse a body, or return None if it is not JSON."""
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def results_of(answer: object, documents: Sequence[Document]) -> list[Acknowledgement] | None:
    """Read the acknowledgements of a batch, without those that are deferred.

    Return None if the answer is invalid.
    """
    results = answer.get("results") if isinstance(answer, dict) else None
    if not isinstance(results, list) or len(results) != len(documents):
        return None
    acknowledgements = []
    for result, document in zip(results, documents, strict=True):
        if isinstance(result, dict) and result.get("outcome") == "deferred":
            continue
        acknowledgement = rejection_of(result, document) or Acknowledgement.read(result, document)
        if acknowledgement is None:
            return None
        acknowledgements.append(acknowledgement)
    return acknowledgements


def rejection_of(answer: object, document: Document) -> Acknowledgement | None:
    """Read a rejection. It need not name the session: the request did."""
    if not isinstance(answer, dict) or answer.get("outcome") != "rejected":
        return None
    named = {"session_id": document["session_id"], "revision": document["revision"]}
    told = {key: value for key, value in answer.items() if value is not None}
    return Acknowledgement.read({**named, **told}, document)


def left_s_of(command: Document) -> float:
    """Return for how many seconds the command is valid, as the server says; 0 if it does not."""
    left_s = command.get("expires_in_s")
    return min(left_s, COMMAND_S) if isinstance(left_s, (int, float)) else 0.0


def problem_of(status: int) -> str:
    """Return what an answer with this status means."""
    if 200 <= status < 300:
        return (
            f"expected an acknowledgement, found another answer with status {status}:"
            " from a login page?"
        )
    if status in (401, 403):
        return f"the server refuses this device's token ({status})"
    if 300 <= status < 400:
        return f"the server redirects to another address ({status}); set [server] url to it"
    if status == 404:
        return "there is no Blinklog server at this address (404)"
    if status == 429:
        return "the server asks to wait (429): a limit or quota of this device is reached"
    return f"the server answered {status}"


def seconds_of(retry_after: str | None) -> float | None:
    """Parse Retry-After: a number of seconds or a date (RFC 9110, section 10.2.3)."""
    if retry_after is None:
        return None
    if retry_after.isascii() and retry_after.isdigit():
        return float(retry_after[:9])
    try:
        moment = parsedate_to_datetime(retry_after)
    except (ValueError, IndexError, OverflowError):
        return None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return max(0.0, (moment - datetime.now(UTC)).total_seconds())
