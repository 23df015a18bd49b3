"""How many documents go into one HTTP request."""

import json
import math
from collections.abc import Callable, Sequence

from agent.records import Document

FIRST_AT_ONCE = 8  # documents in the first batch
MOST_AT_ONCE = 64  # the server accepts 100
BATCH_BYTES = 512 << 10  # the server accepts 1 MiB; at 50 kB/s this takes the default timeout
SINGLE_S = 3600.0  # how long documents are sent one by one after a batch was refused


class Batches:
    """How many documents to send in one request.

    The number doubles with each full request, up to `MOST_AT_ONCE` documents and `BATCH_BYTES`.
    After a failure it starts again at one: the failure may be due to a slow network, or to one of
    the documents. After a refused batch, which means an older server or a proxy with a lower limit,
    it stays at one for `SINGLE_S` seconds.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._most = FIRST_AT_ONCE
        self._single_until_s = -math.inf

    @property
    def at_once(self) -> int:
        """How many documents the next requests may have together."""
        return FIRST_AT_ONCE if self._single else self._most

    @property
    def _single(self) -> bool:
        return self._clock() < self._single_until_s

    def next(self, documents: Sequence[Document]) -> list[bytes]:
        """Return the bodies of the first documents, as many as the next request may have."""
        most = 1 if self._single else self._most
        bodies = [body_of(documents[0])]
        size = len(bodies[0])
        for document in documents[1:most]:
            body = body_of(document)
            size += len(body)
            if size > BATCH_BYTES:
                self._most = len(bodies)
                break
            bodies.append(body)
        return bodies

    def sent(self, count: int) -> None:
        """Note that a request with so many documents was answered."""
        if count == self._most and not self._single:
            self._most = min(2 * count, MOST_AT_ONCE)

    def failed(self) -> None:
        """Note that a request failed."""
        self._most = 1

    def refused(self) -> None:
        """Note that the server takes no batches, or not this one."""
        self._most = FIRST_AT_ONCE
        self._single_until_s = self._clock() + SINGLE_S


def body_of(document: Document) -> bytes:
    """Return a document as compact JSON."""
    return json.dumps(document, separators=(",", ":"), allow_nan=False).encode()
