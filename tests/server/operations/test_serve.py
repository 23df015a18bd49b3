"""`blink-server serve` goes on answering whatever hangs: gunicorn as it is set up, around an
application that does what it is asked to."""

import http.client
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path

import pytest

from server.operations.gunicorn import MOST_OF_ONE_CLIENT
from tests.broker import free_port

ROOT = Path(__file__).resolve().parents[3]
START_S = 30.0
PATIENCE_S = 30.0
SERVING = """
import os, sys, threading
import django
django.setup()
import server.operations.gunicorn as ours
from server.operations import slow_clients

def answer(environ, start):
    path = environ["PATH_INFO"]
    if path == "/hang":
        threading.Event().wait()
    environ["wsgi.input"].read()
    start("200 OK", [("Content-Type", "text/plain")])
    if path == "/much":
        return (b"x" * 65536 for _ in range(320))
    return [str(os.getpid()).encode()]

port, ours.REQUEST_TIMEOUT_S, ours.CLIENT_TIMEOUT_S = map(int, sys.argv[1:4])
ours.REQUEST_S, slow_clients.RESPONSE_S = map(float, sys.argv[4:])
slow_clients.LEAST_BYTES_PER_S = 1e9
ours._Server.load = lambda self: answer
ours.run(bind=f"127.0.0.1:{port}", workers=1, threads=2)
"""


@contextmanager
def serving(
    folder: Path,
    request_timeout_s: int,
    client_timeout_s: int,
    request_s: float = 60,
    response_s: float = 60,
    **environment: str,
) -> Iterator[int]:
    """One worker with two application threads, at this port."""
    port = free_port()
    own = {"DJANGO_SETTINGS_MODULE": "server.config.settings", "BLINKLOG_DATA_DIR": str(folder)}
    limits = (request_timeout_s, client_timeout_s, request_s, response_s)
    options = [str(each) for each in (port, *limits)]
    command = [sys.executable, "-c", SERVING, *options]
    with subprocess.Popen(command, cwd=ROOT, env=os.environ | own | environment) as process:
        try:
            worker(port)
            yield port
        finally:
            process.terminate()


def worker(port: int) -> str:
    """The process that answers now; waits until one does."""
    deadline = time.monotonic() + START_S
    while True:
        try:
            return asked(port, "/")
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)


def asked(port: int, path: str) -> str:
    """The body of its answer."""
    line = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE_S)
    try:
        line.request("GET", path)
        return line.getresponse().read().decode()
    finally:
        line.close()


def beginning(port: int, text: str) -> socket.socket:
    """A client that sends this, and then neither sends nor takes anything."""
    client = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S)
    client.sendall(text.encode())
    return client


def test_a_worker_whose_threads_all_hang_is_replaced(tmp_path: Path) -> None:
    with serving(tmp_path, request_timeout_s=3, client_timeout_s=60) as port:
        before = worker(port)
        hung = [beginning(port, "GET /hang HTTP/1.1\r\nHost: x\r\n\r\n") for _ in range(2)]
        for client in hung:
            with client:
                assert client.recv(1) == b""  # closed by its death
        assert worker(port) != before


@pytest.mark.slow
def test_a_client_that_stops_sending_or_taking_keeps_no_thread(tmp_path: Path) -> None:
    with serving(tmp_path, request_timeout_s=600, client_timeout_s=1) as port:
        before = worker(port)
        silent = [beginning(port, text) for text in (HALF, HALF, MUCH, MUCH)]
        assert asked(port, "/") == before
        for client in silent:
            client.close()


HALF = "PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nhalf"
HEAD = "GET / HTTP/1.1\r\nX: "
MUCH_BYTES = 320 * 65536  # more than the kernel keeps for a connection
MUCH = "GET /much HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"


@contextmanager
def dripping(port: int, beginnings: list[str], every_s: float = 0.2) -> Iterator[list[float]]:
    """Clients that send a byte now and then. Yields after how long each was cut off."""
    clients = [beginning(port, text) for text in beginnings]
    cut: list[float] = []
    begun, done = time.monotonic(), threading.Event()

    def drip() -> None:
        left = set(clients)
        while left and not done.wait(every_s):
            for client in sorted(left, key=id):
                try:
                    client.sendall(b"x")
                    client.settimeout(0.001)
                    if client.recv(1) == b"":
                        raise ConnectionError
                except TimeoutError:
                    continue
                except OSError:
                    left.discard(client)
                    cut.append(time.monotonic() - begun)

    thread = threading.Thread(target=drip)
    thread.start()
    try:
        yield cut
    finally:
        done.set()
        thread.join(PATIENCE_S)
        for client in clients:
            client.close()


def test_clients_that_drip_a_byte_at_a_time_silence_nobody(tmp_path: Path) -> None:
    with serving(tmp_path, request_timeout_s=600, client_timeout_s=60) as port:
        before = worker(port)
        with dripping(port, [HALF, HEAD] * 12) as cut:
            begun = time.monotonic()
            assert [asked(port, "/") for _ in range(5)] == [before] * 5
            assert time.monotonic() - begun < 5
            assert cut == []


def test_a_client_that_drips_is_cut_off(tmp_path: Path) -> None:
    with serving(tmp_path, 600, client_timeout_s=60, request_s=2) as port:
        with dripping(port, [HALF, HEAD]) as cut:
            deadline = time.monotonic() + PATIENCE_S
            while len(cut) < 2 and time.monotonic() < deadline:
                time.sleep(0.1)
        assert len(cut) == 2
        assert min(cut) > 1.5


def test_slow_readers_keep_no_application_thread_and_get_everything(tmp_path: Path) -> None:
    """Four exports are read slowly, for longer than a worker may be silent."""
    with serving(tmp_path, request_timeout_s=5, client_timeout_s=60) as port:
        before = worker(port)
        with ExitStack() as stack:
            readers = [stack.enter_context(beginning(port, MUCH)) for _ in range(4)]
            for _ in range(14):
                time.sleep(0.5)
                assert [len(reader.recv(1000)) for reader in readers] == [1000] * 4
                assert asked(port, "/") == before
            sizes = [sum(map(len, iter(partial(each.recv, 1 << 20), b""))) for each in readers]
            assert min(sizes) > MUCH_BYTES - 14 * 1000


def test_a_client_that_reads_too_slowly_is_cut_off(tmp_path: Path) -> None:
    with serving(tmp_path, 600, client_timeout_s=60, response_s=1) as port:
        reader = beginning(port, MUCH)
        time.sleep(4)
        with reader, suppress(ConnectionError):
            assert sum(map(len, iter(lambda: reader.recv(1 << 20), b""))) < MUCH_BYTES


def is_closed(client: socket.socket) -> bool:
    """Return whether the server has closed the connection of a client that it sent nothing."""
    client.settimeout(0.001)
    try:
        return client.recv(1) == b""
    except TimeoutError:
        return False
    except ConnectionError:
        return True


def test_one_client_cannot_hold_all_connections(tmp_path: Path) -> None:
    with serving(tmp_path, request_timeout_s=600, client_timeout_s=60) as port:
        worker(port)
        clients = [beginning(port, HALF) for _ in range(70)]
        closed, until_s = 0, time.monotonic() + 30
        while closed < 70 - MOST_OF_ONE_CLIENT and time.monotonic() < until_s:
            time.sleep(1)
            closed = sum(is_closed(client) for client in clients)
        for client in clients:
            client.close()
        assert closed == 70 - MOST_OF_ONE_CLIENT


def target(link: Path) -> str | None:
    """Where it leads; None where it was closed meanwhile."""
    with suppress(FileNotFoundError):
        return str(link.readlink())
    return None


def test_what_it_writes_all_the_time_is_in_memory(
    tmp_path: Path,
) -> None:
    memory = tmp_path / "run"
    memory.mkdir()
    with serving(tmp_path, 60, 60, RUNTIME_DIRECTORY=str(memory)) as port:
        pid = worker(port)
        open_files = {link for each in Path(f"/proc/{pid}/fd").iterdir() if (link := target(each))}
        ours = {each.split("/")[len(memory.parts)] for each in open_files if str(memory) in each}
        assert {each.split("-")[0] for each in ours} == {"wgunicorn"}
        assert [each.name.rpartition("-")[0] for each in memory.iterdir()] == ["blinklog-metrics"]
