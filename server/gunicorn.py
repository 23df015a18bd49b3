"""`blink-server serve`: gunicorn, set up here and nowhere else."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.conf import settings
from gunicorn.app.base import BaseApplication

# Seconds. A request that takes longer than this is stuck: every wait of ours is shorter.
REQUEST_TIMEOUT_S = 60
# systemd waits 90 s before it kills.
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
        from server.wsgi import application

        return application


def run(*, bind: str, workers: int, threads: int) -> None:
    """Serve until SIGTERM. A worker that dies or hangs is replaced."""
    with _counting_together():
        _serve(bind=bind, workers=workers, threads=threads)


@contextmanager
def _counting_together() -> Iterator[None]:
    """A folder in which the workers count requests; it must be named before they are made."""
    folder, ours = tempfile.mkdtemp(prefix="blinklog-metrics-"), os.getpid()
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = folder
    try:
        yield
    finally:
        if os.getpid() == ours:  # a worker that ends comes by here too
            shutil.rmtree(folder, ignore_errors=True)


def _serve(*, bind: str, workers: int, threads: int) -> None:
    _Server(
        bind=bind,
        workers=workers,
        threads=threads,
        worker_class="gthread",
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
