"""`blink-server serve`: gunicorn and all of its configuration.

Failure policy. Whatever hangs is stopped and restarted:

    a client that neither sends nor reads      its connection is closed
    a client sends or reads slowly             it holds no application thread, and its connection is
                                               closed after a while: see slow_clients.py
    a client has many connections              those above its share are closed (not with a proxy)
    a request hangs                            its thread is lost; the others continue
    all threads of a worker hang               the worker is killed and replaced
    the arbiter (gunicorn's main process)      systemd's watchdog restarts it with its workers
    hangs

Small files that must always be writable are kept in memory if systemd provides a folder there, so
that a full disk doesn't stop the server.
"""

import os
import shutil
import socket
import struct
import tempfile
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from typing import Any

from django.conf import settings
from django.utils.module_loading import import_string
from gunicorn.app.base import BaseApplication
from gunicorn.arbiter import Arbiter
from gunicorn.systemd import sd_notify
from gunicorn.workers.gthread import ThreadWorker

from server.operations.slow_clients import REQUEST_S, Buffered, Deadlines, Share

# Threads per process that read requests and send responses.
CONNECTION_THREADS = 128
# How many of them one client may hold.
MOST_OF_ONE_CLIENT = CONNECTION_THREADS // 2
# Seconds. A request that takes longer hangs: all our timeouts are shorter.
REQUEST_TIMEOUT_S = 60
# Timeout for a client that neither sends nor reads.
CLIENT_TIMEOUT_S = 30
# Shorter than the 30 s after which systemd kills the service.
GRACEFUL_TIMEOUT_S = 20
# Longer than the 10 s between checkpoints, so that a device keeps its connection in a session.
KEEPALIVE_S = 15


class _Server(BaseApplication):  # type: ignore[misc] # gunicorn has no types
    def __init__(self, application_threads: int, **options: Any) -> None:
        self.application_threads = application_threads
        self.options = options
        super().__init__()

    def load_config(self) -> None:
        for name, value in self.options.items():
            self.cfg.set(name, value)

    def load(self) -> Any:
        return import_string(settings.WSGI_APPLICATION)

    def run(self) -> None:
        _Arbiter(self).run()


class _Arbiter(Arbiter):  # type: ignore[misc] # gunicorn has no types
    """Pings systemd's watchdog after each check of the workers, once a second."""

    def murder_workers(self) -> None:
        super().murder_workers()
        sd_notify("WATCHDOG=1", self.log)


class _Worker(ThreadWorker):  # type: ignore[misc] # gunicorn has no types
    """Reads and sends in many threads, and runs the application in a few.

    Sends its heartbeat from an application thread: the main loop keeps running if all of them hang.
    """

    _sign: Future[None] | None = None

    def load_wsgi(self) -> None:
        super().load_wsgi()
        self._deadlines = Deadlines()
        self._share = Share(MOST_OF_ONE_CLIENT)
        self.wsgi: Any = Buffered(self.wsgi, self.app.application_threads, self._deadlines)

    def notify(self) -> None:
        self._deadlines.cut()
        if self._sign is None or self._sign.done():
            self._sign = self.wsgi.pool.submit(super().notify)

    def handle(self, conn: Any) -> Any:
        """Handle a request on a connection, in one of the connection threads."""
        with self._share.of(_host(conn.client)) as within:
            if not within and not settings.TRUSTED_PROXIES:
                return False
            self._deadlines.set(conn.sock, REQUEST_S)
            try:
                return super().handle(conn)
            finally:
                self._deadlines.clear(conn.sock)


def _host(client: Any) -> str:
    """Return a peer's address; an empty string for a Unix socket."""
    return str(client[0]) if isinstance(client, tuple) else ""


def run(*, bind: str, workers: int, threads: int) -> None:
    """Serve until SIGTERM. A worker that dies or hangs is replaced."""
    with _metrics_folder():
        _serve(bind=bind, workers=workers, threads=threads)


@contextmanager
def _metrics_folder() -> Iterator[None]:
    """Create the folder in which the workers count requests. Must run before they are forked."""
    folder = tempfile.mkdtemp(prefix="blinklog-metrics-", dir=_memory_folder())
    ours = os.getpid()
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = folder
    try:
        yield
    finally:
        if os.getpid() == ours:  # workers run this too when they exit
            shutil.rmtree(folder, ignore_errors=True)


def _memory_folder() -> str | None:
    """Return a folder in memory, writable while the disk is full, or `None` without systemd."""
    return os.environ.get("RUNTIME_DIRECTORY")


def _bound_clients(arbiter: Any) -> None:
    """Set timeouts on the listening sockets, which connections inherit: gunicorn sets none."""
    timeout = struct.pack("ll", CLIENT_TIMEOUT_S, 0)
    for listener in arbiter.LISTENERS:
        for option in (socket.SO_RCVTIMEO, socket.SO_SNDTIMEO):
            listener.setsockopt(socket.SOL_SOCKET, option, timeout)


def _serve(*, bind: str, workers: int, threads: int) -> None:
    _Server(
        application_threads=threads,
        bind=bind,
        workers=workers,
        threads=CONNECTION_THREADS,
        worker_class=_Worker,
        worker_tmp_dir=_memory_folder(),
        when_ready=_bound_clients,
        timeout=REQUEST_TIMEOUT_S,
        graceful_timeout=GRACEFUL_TIMEOUT_S,
        keepalive=KEEPALIVE_S,
        proc_name="blink-server",
        # No access log: URLs contain user names and session ids.
        accesslog=None,
        errorlog="-",
        logconfig_dict=settings.LOGGING,
        # Django decides which forwarded headers to trust: see settings.TRUSTED_PROXIES.
        secure_scheme_headers={},
        forwarded_allow_ips="*" if settings.TRUSTED_PROXIES else "",
        control_socket_disable=True,
    ).run()
