"""A TCP proxy that does to a network what networks do by themselves."""

import contextlib
import re
import selectors
import socket
import threading
import time
from collections import deque
from dataclasses import dataclass, field

from tests.faults.launcher import until

CHUNK = 16384
POLL_S = 0.02


@dataclass
class Harm:
    """What happens to connections, from now on. The default: nothing.

    `refuse`: every connection is cut at once. `drop`: what is sent never arrives, and nobody is
    told. `delay_s`: everything arrives, so much later. `cut_after`: a connection breaks once so
    many bytes have gone through it in both directions. `hold_answers`: what the server says stays
    here. `answer`: said in the server's place to an HTTP request, once all of it has come.
    """

    refuse: bool = False
    drop: bool = False
    delay_s: float = 0.0
    cut_after: int | None = None
    hold_answers: bool = False
    answer: bytes | None = None


@dataclass
class _Line:
    """One connection: both ends, and what is on its way to each, with the time it is due."""

    near: socket.socket
    far: socket.socket
    waiting: dict[socket.socket, deque[tuple[float, bytes]]] = field(default_factory=dict)
    gone: socket.socket | None = None  # the end that has left; the other still gets what is due
    passed: int = 0
    request: bytes = b""

    def other(self, end: socket.socket) -> socket.socket:
        return self.far if end is self.near else self.near


class Proxy:
    """Listens on a port of its own and hands on to `targets`, ports of this machine: to each in
    turn, and past those that refuse, as a load balancer does."""

    def __init__(self, *targets: int) -> None:
        self.harm = Harm()
        self.connections = 0
        self.harmed = 0  # how often a connection or what was sent on it met a harm
        self.answers: deque[bytes] = deque(maxlen=100)  # the last that came from the target
        self._targets = deque(targets)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.setblocking(False)
        self.port: int = self._listener.getsockname()[1]
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._lines: dict[socket.socket, _Line] = {}
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="proxy", daemon=True)

    def __enter__(self) -> "Proxy":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self._thread.join(10)

    def heal(self) -> None:
        """No harm from now on; what was held back is lost with its connection."""
        if self.harm == Harm():
            return
        self.harm = Harm(refuse=True)
        until(lambda: not self._lines, "the proxy has cut its connections")
        self.harm = Harm()

    # In the proxy's thread

    def _run(self) -> None:
        while not self._stopping.is_set():
            for key, _ in self._selector.select(POLL_S):
                end = key.fileobj
                assert isinstance(end, socket.socket)
                if end is self._listener:
                    self._accept()
                elif end in self._lines:
                    self._read(end)
            for line in [each for end, each in self._lines.items() if end is each.near]:
                self._serve(line)
        for line in list(self._lines.values()):
            self._cut(line)
        self._selector.close()
        self._listener.close()

    def _accept(self) -> None:
        near, _ = self._listener.accept()
        self.connections += 1
        try:
            if self.harm.refuse:
                self.harmed += 1
                raise ConnectionRefusedError
            far = self._connect()
        except OSError:
            near.close()
            return
        line = _Line(near, far, {near: deque(), far: deque()})
        for end in (near, far):
            end.settimeout(2)
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._lines[end] = line
            self._selector.register(end, selectors.EVENT_READ)

    def _connect(self) -> socket.socket:
        for _ in range(len(self._targets)):
            self._targets.rotate(-1)
            with contextlib.suppress(ConnectionRefusedError):
                return socket.create_connection(("127.0.0.1", self._targets[-1]), timeout=2)
        raise ConnectionRefusedError

    def _read(self, end: socket.socket) -> None:
        line, harm = self._lines[end], self.harm
        try:
            data = end.recv(CHUNK)
        except OSError:
            data = b""
        if not data:
            self._leave(line, end)
            return
        if end is line.far:
            self.answers.append(data)
        line.passed += len(data)
        self.harmed += harm.drop or harm.delay_s > 0 or (harm.hold_answers and end is line.far)
        if end is line.near and harm.answer is not None:
            line.request += data
            if _is_whole(line.request):
                with contextlib.suppress(OSError):
                    end.sendall(harm.answer)
                self.harmed += 1
                self._cut(line)
        elif not harm.drop:
            line.waiting[line.other(end)].append((time.monotonic() + harm.delay_s, data))

    def _serve(self, line: _Line) -> None:
        """Sends what is due, and cuts what is to be cut."""
        harm = self.harm
        if harm.refuse or (harm.cut_after is not None and line.passed > harm.cut_after):
            self.harmed += 1
            self._cut(line)
            return
        for end, waiting in line.waiting.items():
            if end is line.gone or (end is line.near and harm.hold_answers):
                continue
            while waiting and waiting[0][0] <= time.monotonic():
                try:
                    end.sendall(waiting.popleft()[1])
                except OSError:
                    self._cut(line)
                    return
            if not waiting and line.gone is line.other(end):
                self._cut(line)
                return

    def _leave(self, line: _Line, end: socket.socket) -> None:
        if line.gone is not None:
            self._cut(line)
            return
        line.gone = end
        self._selector.unregister(end)

    def _cut(self, line: _Line) -> None:
        for end in (line.near, line.far):
            if self._lines.pop(end, None) is not None:
                if end is not line.gone:
                    self._selector.unregister(end)
                end.close()


def _is_whole(request: bytes) -> bool:
    """Whether all of an HTTP request has come."""
    head, end, body = request.partition(b"\r\n\r\n")
    length = re.search(rb"(?i)content-length: *(\d+)", head)
    return bool(end) and len(body) >= (int(length[1]) if length else 0)
