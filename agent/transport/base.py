"""The interface of transports, and what the server sends: acknowledgements and commands."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol, cast, get_args

from agent.records import REASON_CHARACTERS, Document

SHARED_IDENTITY = (
    "another device uses this device's identity, perhaps from a copy of its card: whenever one of"
    " them connects, the broker disconnects the other"
)
# What is left to say where a broker gives no reason. Mosquitto 2.0.11 gives none.
PERHAPS_SHARED = (
    "the broker accepts this device and then closes the connection, again and again: does another"
    " device use the same identity, perhaps from a copy of this card? Or does the broker restart?"
)

Outcome = Literal["stored", "duplicate", "stale", "rejected"]
# The server's reason for `stale` if the session was deleted there.
DELETED = "the session was deleted"


@dataclass(frozen=True, slots=True)
class Acknowledgement:
    """The server's answer to one revision of a session, sent after its database committed.

    `stale` means that the server has a higher revision, or that the session was deleted there:
    `reason` is then `DELETED`. For `rejected`, `reason` says why; it is safe to store and to print.
    """

    session_id: str
    revision: int
    outcome: Outcome
    reason: str | None = None

    @classmethod
    def read(cls, answer: object, document: Mapping[str, Any]) -> "Acknowledgement | None":
        """Read the acknowledgement of `document` from a server's JSON answer.

        Return None if the answer is invalid. It must name this session and this revision, or a
        higher revision if the outcome is `stale`.
        """
        if not isinstance(answer, dict) or answer.get("session_id") != document["session_id"]:
            return None
        outcome, revision, reason = (answer.get(key) for key in ("outcome", "revision", "reason"))
        if outcome not in get_args(Outcome) or type(revision) is not int:
            return None
        if revision < document["revision"] or (
            revision > document["revision"] and outcome != "stale"
        ):
            return None
        cleaned = _printable(reason) if isinstance(reason, str) else None
        return cls(document["session_id"], document["revision"], cast(Outcome, outcome), cleaned)


@dataclass(frozen=True, slots=True)
class Command:
    """A command as it was received, not validated. It expires in `left_s` seconds."""

    document: Document
    left_s: float


class Transport(Protocol):
    """A connection to the server that delivers documents and receives commands.

    `ask_s` is how often to ask the server for commands, in seconds; None if they arrive unasked, or
    not at all. `at_once` is how many documents to pass to `deliver` at most: enough to hide a round
    trip, few enough to send again.
    """

    name: str
    ask_s: float | None

    @property
    def at_once(self) -> int:
        """Maximum number of documents of the next `deliver`; at least 1."""

    @property
    def listening(self) -> bool:
        """Whether the server's commands arrive unasked at the moment."""

    def deliver(self, documents: Sequence[Document], timeout_s: float) -> Iterable[Acknowledgement]:
        """Send documents; yield each acknowledgement as it arrives.

        Wait at most `timeout_s` seconds for the next acknowledgement. Without documents, keep the
        connection alive, or check whether the transport works again after a failure. Raises
        DeliveryError if it does not work now.
        """

    def commands(self) -> list[Command]:
        """Return the commands received since the last call.

        With `ask_s`, ask the server: the same command may be returned again and again until it
        expires. Raises DeliveryError if there is no answer.
        """

    def settings(self) -> Document | None:
        """Return the newest settings for this device that arrived since the last call, or None.

        They are a JSON object, not validated. With `ask_s`, ask the server. Raises DeliveryError if
        there is no answer.
        """

    def show(self, view: Document) -> bool:
        """Send a view while the camera is aimed, without waiting for an answer if that can be.

        Return whether it was sent: False if another transport should. Raises DeliveryError.
        """

    def close(self) -> None:
        """Close the connection."""


def _printable(text: str) -> str:
    """Shorten `text` and replace unprintable characters, such as lone surrogates, by `?`."""
    return "".join(c if c.isprintable() else "?" for c in text[:REASON_CHARACTERS])
