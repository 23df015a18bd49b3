"""`GET /metrics`: the server's state for Prometheus, for the clients that the settings allow.

It contains only numbers, which identify no person, device or session. State that a process doesn't
have itself is read from the database, so that any process can answer.
"""

import hmac
import ipaddress
import os
import time
from collections.abc import Iterable, Iterator

from django.conf import settings
from django.db import Error, connection
from django.db.models import Count, Q
from django.http import Http404, HttpRequest, HttpResponse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import REGISTRY, Collector

from server.alerts.delivery.outbox import depth
from server.alerts.models import Alert
from server.care.login import client_address
from server.common.disk import free_bytes
from server.devices.models import HEARD_WITHIN, POLLED_WITHIN, DeadLetter, Device
from server.monitoring.metrics import DOCUMENTS, REQUESTS
from server.monitoring.models import Sign, Tally

FOLDER = "PROMETHEUS_MULTIPROC_DIR"


@never_cache
@require_safe
def metrics(request: HttpRequest) -> HttpResponse:
    """Return all metrics in Prometheus' text format; 404 for clients that may not read them."""
    if not may_read(request):
        raise Http404
    registry = CollectorRegistry()
    if os.environ.get(FOLDER):
        MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    else:
        registry.register(ProcessCollector())
    registry.register(DatabaseCollector())
    registry.register(DiskCollector())
    return HttpResponse(generate_latest(registry), content_type=CONTENT_TYPE_LATEST)


def may_read(request: HttpRequest) -> bool:
    """Return whether the client has the token, or an address, that the settings allow.

    By default they allow none.
    """
    if settings.METRICS_TOKEN:
        given = request.headers.get("Authorization", "").removeprefix("Bearer ").strip()
        if hmac.compare_digest(given.encode(), settings.METRICS_TOKEN.encode()):
            return True
    if "X-Forwarded-For" in request.headers and not settings.TRUSTED_PROXIES:
        return False  # an unconfigured proxy: we only see the proxy's address
    try:
        address = ipaddress.ip_address(client_address(request))
    except ValueError:
        return False
    return any(address in network for network in settings.METRICS_ALLOW)


class ProcessCollector(Collector):
    """Collects the counts of this process, if it is the only one."""

    def collect(self) -> Iterable[Metric]:
        """Yield the metrics of requests, and of documents received by HTTP."""
        assert REGISTRY is not None
        yield from REQUESTS.collect()
        yield from DOCUMENTS.collect()


class DiskCollector(Collector):
    """Collects the free disk space."""

    def collect(self) -> Iterator[Metric]:
        """Yield the metric."""
        text = "Free space of the data folder's disk."
        yield GaugeMetricFamily("blinklog_disk_free_bytes", text, free_bytes())


class DatabaseCollector(Collector):
    """Collects counts from the database, or reports that it is unavailable."""

    def collect(self) -> Iterator[Metric]:
        """Yield the metrics. Makes a few queries, each on an index or on few rows."""
        up = GaugeMetricFamily("blinklog_database_up", "Whether the database answers.")
        try:
            found = [self._latency(), *self._counts(), self._devices(), self._signs()]
            up.add_metric([], 1)
        except Error:
            found = []
            up.add_metric([], 0)
        yield up
        yield from found

    def _latency(self) -> Metric:
        begun_s = time.perf_counter()
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
            cursor.fetchone()
        took_s = time.perf_counter() - begun_s
        name = "blinklog_database_latency_seconds"
        return GaugeMetricFamily(name, "Response time of the database.", took_s)

    def _counts(self) -> Iterator[Metric]:
        tally = CounterMetricFamily(
            "blinklog_mqtt_documents",
            "Session documents received by MQTT, by outcome.",
            labels=["outcome"],
        )
        for outcome, count in Tally.objects.values_list("outcome", "count"):
            tally.add_metric([outcome], count)
        yield tally
        for name, text, value in (
            ("alerts_open", "Open alerts.", Alert.objects.filter(resolved_at=None).count()),
            ("outbox_depth", "Unsent notifications.", depth()),
            ("dead_letters", "Rejected documents in store.", DeadLetter.objects.count()),
        ):
            yield GaugeMetricFamily(f"blinklog_{name}", text, value)

    def _devices(self) -> Metric:
        heard = Q(last_seen_at__isnull=False)
        now = timezone.now()
        polls = Q(polled_at__gt=now - POLLED_WITHIN)
        online = heard & (polls | Q(online=True, last_seen_at__gt=now - HEARD_WITHIN))
        counts = Device.objects.filter(revoked_at=None).aggregate(
            n_online=Count("pk", filter=online),
            n_silent=Count("pk", filter=heard & ~online),
            n_never=Count("pk", filter=~heard),
        )
        found = GaugeMetricFamily(
            "blinklog_devices",
            "Devices that are online, silent, or that never connected.",
            labels=["state"],
        )
        for state, count in counts.items():
            found.add_metric([state.removeprefix("n_")], count)
        return found

    def _signs(self) -> Metric:
        found = GaugeMetricFamily(
            "blinklog_last_sign_age_seconds",
            "Time since the last heartbeat of a part of the server.",
            labels=["part"],
        )
        now = timezone.now()
        for name, at in Sign.objects.values_list("name", "at"):
            found.add_metric([name], max(0.0, (now - at).total_seconds()))
        return found
