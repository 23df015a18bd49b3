"""Who gets notices: a mail server and a webhook on loopback, both on real sockets."""

import contextlib
import http.server
import socketserver
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage


@dataclass
class MailBox:
    """What a mail server took. `refuses`: with this answer to every recipient."""

    port: int = 0
    refuses: str = ""
    taken: list[EmailMessage] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"smtp://127.0.0.1:{self.port}"


class _Smtp(socketserver.StreamRequestHandler):
    """As much of RFC 5321 as a sender needs."""

    timeout = 10

    def handle(self) -> None:
        self._say("220 here")
        while line := self.rfile.readline(2000):
            word = line.strip().upper()
            if word.startswith(b"DATA"):
                self._say("354 go on")
                self._take()
            elif word.startswith(b"QUIT"):
                self._say("221 bye")
                break
            elif word.startswith(b"RCPT") and self.server.box.refuses:
                self._say(self.server.box.refuses)
            else:
                self._say("250 ok")

    def _take(self) -> None:
        lines = []
        while (line := self.rfile.readline(2000)) not in (b".\r\n", b""):
            lines.append(line[1:] if line.startswith(b"..") else line)
        message = message_from_bytes(b"".join(lines), policy=policy.default)
        self.server.box.taken.append(message)
        self._say("250 taken")

    def _say(self, text: str) -> None:
        self.wfile.write(f"{text}\r\n".encode())


@dataclass
class Hook:
    """What a webhook was sent: headers and body of each. `answers`: with this status."""

    port: int = 0
    answers: int = 204
    taken: list[tuple[dict[str, str], bytes]] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook?x=1"


class _Http(http.server.BaseHTTPRequestHandler):
    timeout = 10

    def do_POST(self) -> None:
        hook = self.server.box
        body = self.rfile.read(int(self.headers["Content-Length"]))
        hook.taken.append((dict(self.headers), body))
        self.send_response(hook.answers)
        if 300 <= hook.answers < 400:
            self.send_header("Location", hook.url + "&redirected")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Not on the tests' standard error."""


@contextlib.contextmanager
def _serving(handler: type, box: MailBox | Hook) -> Iterator[None]:
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), handler) as server:
        server.daemon_threads = True
        server.box = box
        box.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield
        finally:
            server.shutdown()
            thread.join(5)


@contextlib.contextmanager
def mail_server() -> Iterator[MailBox]:
    box = MailBox()
    with _serving(_Smtp, box):
        yield box


@contextlib.contextmanager
def webhook() -> Iterator[Hook]:
    hook = Hook()
    with _serving(_Http, hook):
        yield hook
