"""Keep slow clients away from the threads that answer requests.

A request is read completely, and its response is written to memory or a file, before and after one
of the few application threads works on it. Slow clients only occupy connection threads, which
are many and cheap, and each for a limited time.

    connection thread: read the request -> wait -> send the response
    application thread:                   answer
"""

import os
import socket
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from typing import IO, Any

from django.conf import settings

# Larger requests and responses are kept in a file instead of memory.
MOST_IN_MEMORY = 256 * 1024
PIECE = 64 * 1024
# `/tmp` may be in memory.
FOLDER = "/var/tmp" if os.access("/var/tmp", os.W_OK) else None

# Seconds in which a request must be complete. A device gives up after ten.
REQUEST_S = 20.0
# A response must be taken within this time, plus a second for so many bytes.
RESPONSE_S = 30.0
LEAST_BYTES_PER_S = 8 * 1024

Environ = dict[str, Any]


class SpoolError(Exception):
    """There is no room for a response."""


class Deadlines:
    """Cuts the connections that are past their deadline, when `cut` is called."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._until_s: dict[socket.socket, float] = {}

    def set(self, client: socket.socket, limit_s: float) -> None:
        """Cut the connection after `limit_s` seconds from now."""
        with self._lock:
            self._until_s[client] = self._clock() + limit_s

    def clear(self, client: socket.socket) -> None:
        """Remove the connection's deadline."""
        with self._lock:
            self._until_s.pop(client, None)

    def cut(self) -> None:
        """Shut down the overdue connections: whatever waits for them fails."""
        now_s = self._clock()
        with self._lock:
            late = [client for client, until_s in self._until_s.items() if until_s < now_s]
            for client in late:
                del self._until_s[client]
                with suppress(OSError):  # closed already
                    client.shutdown(socket.SHUT_RDWR)


class Share:
    """Counts connections by client, so that one can't take all the threads."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._lock = threading.Lock()
        self._open: Counter[str] = Counter()

    @contextmanager
    def of(self, client: str) -> Iterator[bool]:
        """Count a connection inside the block. Yields whether the client is within its share."""
        with self._lock:
            self._open[client] += 1
            within = self._open[client] <= self._most
        try:
            yield within
        finally:
            with self._lock:
                self._open[client] -= 1
                if not self._open[client]:
                    del self._open[client]


class Buffered:
    """A WSGI application that runs `application` in `threads` threads of its own."""

    def __init__(self, application: Any, threads: int, deadlines: Deadlines) -> None:
        self.pool = ThreadPoolExecutor(threads)
        self._application = application
        self._deadlines = deadlines

    def __call__(self, environ: Environ, start_response: Any) -> Iterable[bytes]:
        """Answer a request. `start_response` is called in the calling thread."""
        client = environ.get("gunicorn.socket")
        with tempfile.SpooledTemporaryFile(MOST_IN_MEMORY, dir=FOLDER) as body:
            _read(environ, body)
            environ["wsgi.input"] = body
            if client is not None:
                self._deadlines.clear(client)
            response = self.pool.submit(_answer, self._application, environ).result()
        if client is not None:
            self._deadlines.set(client, RESPONSE_S + response.size / LEAST_BYTES_PER_S)
        start_response(response.status, response.headers)
        return response


class _Response:
    """A response in memory or a file. Iterating reads it; `close` deletes it."""

    def __init__(self) -> None:
        self.status = ""
        self.headers: list[tuple[str, str]] = []
        self.size = 0
        self._file: IO[bytes] = tempfile.SpooledTemporaryFile(  # noqa: SIM115 see `close`
            MOST_IN_MEMORY, dir=FOLDER
        )

    def start(self, status: str, headers: list[tuple[str, str]], _failure: Any = None) -> Any:
        """Take status and headers, as WSGI's `start_response`."""
        self.status, self.headers = status, headers
        return self.write

    def write(self, piece: bytes) -> None:
        """Append to the body. Raises `SpoolError`."""
        try:
            self._file.write(piece)
        except OSError as error:
            raise SpoolError(f"a response could not be stored: {error.strerror}") from None
        self.size += len(piece)

    def __iter__(self) -> Iterator[bytes]:
        self._file.seek(0)
        while piece := self._file.read(PIECE):
            yield piece

    def close(self) -> None:
        """Delete the body."""
        self._file.close()


def _read(environ: Environ, body: IO[bytes]) -> None:
    """Copy the request's body, up to what the application may read."""
    left = settings.DATA_UPLOAD_MAX_MEMORY_SIZE + 1
    source = environ["wsgi.input"]
    while left > 0 and (piece := source.read(min(left, PIECE))):
        body.write(piece)
        left -= len(piece)
    body.seek(0)


def _answer(application: Any, environ: Environ) -> _Response:
    """Run the application to the end of its response."""
    response = _Response()
    try:
        pieces = application(environ, response.start)
        try:
            for piece in pieces:
                response.write(piece)
        finally:
            if hasattr(pieces, "close"):
                pieces.close()
    except BaseException:
        response.close()
        raise
    return response
