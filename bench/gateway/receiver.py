"""A server that writes down every record that arrives, and only then says so.

    python receiver.py PORT FILE

Each record is a line of FILE, as in the journal, once for each time that it arrives. Written with
one `write` each: no kill leaves half a line. It answers session documents, one or a batch, as
Blinklog's server does, and a list of telemetry with 200.
"""

import json
import os
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from journal import line, opened

TELEMETRY = "/telemetry"


class Handler(BaseHTTPRequestHandler):
    """One request: write down what came, then answer."""

    protocol_version = "HTTP/1.1"
    server: "Receiver"

    def do_POST(self) -> None:
        """Take first revisions of sessions, or a pack of telemetry."""
        content = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.path == TELEMETRY:
            for record in content:
                self.server.take(record["values"]["id"], record["values"])
            self._answer({})
        elif isinstance(content, list):
            self._answer({"results": [self._take(document) for document in content]})
        else:
            self._answer(self._take(content))

    def do_OPTIONS(self) -> None:
        """Say that the server is here again."""
        self._answer({})

    def _take(self, document: dict[str, Any]) -> dict[str, Any]:
        self.server.take(document["session_id"], document)
        named = {key: document[key] for key in ("session_id", "revision")}
        return {**named, "outcome": "stored"}

    def _answer(self, content: dict[str, Any]) -> None:
        body = json.dumps(content).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Nobody reads it."""


class Receiver(ThreadingHTTPServer):
    """The server, with the file that it writes to."""

    daemon_threads = True

    def __init__(self, port: int, file: str) -> None:
        self._file = opened(Path(file))
        super().__init__(("127.0.0.1", port), Handler)

    def take(self, record: str, content: dict[str, Any]) -> None:
        """Write down that a record has arrived."""
        os.write(self._file, line("arrived", record, content))


if __name__ == "__main__":
    Receiver(int(sys.argv[1]), sys.argv[2]).serve_forever()
