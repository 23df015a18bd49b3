"""`blink-server serve`: gunicorn, set up here and nowhere else.

Failure policy. What hangs is ended and begun anew:

    a client that neither sends nor takes      its connection is closed
    a request that hangs                       its thread is lost; the others go on
    all threads of a worker                    the worker is killed and replaced
    the process that watches over the workers  systemd's watchdog ends it and them

Small files that must be writable at every moment are kept in memory where systemd gives a folder
there: a full disk is no reason to fall silent.
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

# Seconds. A request that takes longer than this is stuck: every wait of ours is shorter.
REQUEST_TIMEOUT_S = 60
# One wait for a client that sends or takes nothing.
CLIENT_TIMEOUT_S = 30
# systemd waits 30 s before it kills.
GRACEFUL_TIMEOUT_S = 20
# Longer than a checkpoint's 10 s, so that a device in a session keeps its connection.
KEEPALIVE_S = 15


class _Server(BaseApplication):  # type: ignore[misc] # gunicorn has no types
    def __init__(self, **options: Any) -> None:
        self.options = options
        super().__init__()

    def load_config(self) -> None:
        for name, value in self.options.items():
            self.cfg.set(name, value)

    def load(self) -> Any:
        return import_string(settings.WSGI_APPLICATION)

    def run(self) -> None:
        _Watched(self).run()


class _Watched(Arbiter):  # type: ignore[misc] # gunicorn has no types
    """Feeds systemd's watchdog each time it has looked at its workers: every second."""

    def murder_workers(self) -> None:
        super().murder_workers()
        sd_notify("WATCHDOG=1", self.log)


class _Worker(ThreadWorker):  # type: ignore[misc] # gunicorn has no types
    """Its sign of life comes from its threads: its main loop lives on while all of them hang."""

    _sign: Future[None] | None = None

    def notify(self) -> None:
        if self._sign is None or self._sign.done():
            self._sign = self.tpool.submit(super().notify)


def run(*, bind: str, workers: int, threads: int) -> None:
    """Serve until SIGTERM. A worker that dies or hangs is replaced."""
    with _counting_together():
        _serve(bind=bind, workers=workers, threads=threads)


@contextmanager
def _counting_together() -> Iterator[None]:
    """A folder in which the workers count requests; it must be named before they are made."""
    folder = tempfile.mkdtemp(prefix="blinklog-metrics-", dir=_memory())
    ours = os.getpid()
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = folder
    try:
        yield
    finally:
        if os.getpid() == ours:  # a worker that ends comes by here too
            shutil.rmtree(folder, ignore_errors=True)


def _memory() -> str | None:
    """A folder that takes files also while the disk is full, of this service alone; or none."""
    return os.environ.get("RUNTIME_DIRECTORY")


def _bound_clients(arbiter: Any) -> None:
    """Connections have the timeouts of what they were accepted on: gunicorn sets none."""
    timeout = struct.pack("ll", CLIENT_TIMEOUT_S, 0)
    for listener in arbiter.LISTENERS:
        for option in (socket.SO_RCVTIMEO, socket.SO_SNDTIMEO):
            listener.setsockopt(socket.SOL_SOCKET, option, timeout)


def _serve(*, bind: str, workers: int, threads: int) -> None:
    _Server(
        bind=bind,
        workers=workers,
        threads=threads,
        worker_class=_Worker,
        worker_tmp_dir=_memory(),
        when_ready=_bound_clients,
        timeout=REQUEST_TIMEOUT_S,
        graceful_timeout=GRACEFUL_TIMEOUT_S,
        keepalive=KEEPALIVE_S,
        proc_name="blink-server",
        # No access log: addresses hold user names and session ids.
        accesslog=None,
        errorlog="-",
        logconfig_dict=settings.LOGGING,
        # Which forwarded headers to believe is Django's business, see settings.TRUSTED_PROXIES.
        secure_scheme_headers={},
        forwarded_allow_ips="*" if settings.TRUSTED_PROXIES else "",
        control_socket_disable=True,
    ).run()
