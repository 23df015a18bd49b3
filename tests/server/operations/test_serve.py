"""`blink-server serve` goes on answering whatever hangs: gunicorn as it is set up, around an
application that does what it is asked to."""

import http.client
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tests.broker import free_port

ROOT = Path(__file__).resolve().parents[3]
START_S = 30.0
PATIENCE_S = 30.0
SERVING = """
import os, sys, threading
import django
django.setup()
import server.operations.gunicorn as ours

def answer(environ, start):
    path = environ["PATH_INFO"]
    if path == "/hang":
        threading.Event().wait()
    environ["wsgi.input"].read()
    start("200 OK", [("Content-Type", "text/plain")])
    if path == "/much":
        return (b"x" * 65536 for _ in range(10_000))
    return [str(os.getpid()).encode()]

port, ours.REQUEST_TIMEOUT_S, ours.CLIENT_TIMEOUT_S = map(int, sys.argv[1:])
ours._Server.load = lambda self: answer
ours.run(bind=f"127.0.0.1:{port}", workers=1, threads=2)
"""


@contextmanager
def serving(
    folder: Path, request_timeout_s: int, client_timeout_s: int, **environment: str
) -> Iterator[int]:
    """One worker with two threads, at this port."""
    port = free_port()
    own = {"DJANGO_SETTINGS_MODULE": "server.config.settings", "BLINKLOG_DATA_DIR": str(folder)}
    options = [str(each) for each in (port, request_timeout_s, client_timeout_s)]
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
        half = "PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nhalf"
        much = "GET /much HTTP/1.1\r\nHost: x\r\n\r\n"
        silent = [beginning(port, text) for text in (half, half, much, much)]
        assert asked(port, "/") == before
        for client in silent:
            client.close()


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
