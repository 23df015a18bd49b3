"""Request metrics for Prometheus, without paths, names or ids.

The worker processes count in files in one folder (prometheus-client's multiprocess mode), so that
any of them can answer for all. `blink-server serve` creates the folder before this library is
imported.
"""

import time
from collections.abc import Callable

from django.http import HttpRequest, HttpResponse
from prometheus_client import Counter, Histogram

REQUESTS = Histogram(
    "blinklog_request_seconds",
    "Time until the response started.",
    ["method", "route", "status"],
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10),
)
DOCUMENTS = Counter(
    "blinklog_http_documents", "Session documents received by HTTP, by outcome.", ["outcome"]
)

METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}
WRITING = {"POST", "PUT", "PATCH"}
OUTCOMES = {"stored", "duplicate", "stale", "rejected"}


class CountRequests:
    """Middleware that counts and times requests. The outermost one, to measure the whole time."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        begun_s = time.perf_counter()
        response = self.get_response(request)
        took_s = time.perf_counter() - begun_s
        method = request.method if request.method in METHODS else "other"
        status = f"{response.status_code // 100}xx"
        REQUESTS.labels(method, route_of(request), status).observe(took_s)
        if method in WRITING:
            for outcome in outcomes_of(response):
                DOCUMENTS.labels(outcome).inc()
        return response


def route_of(request: HttpRequest) -> str:
    """Return the URL pattern of the request, such as `people/<str:username>/`."""
    match = request.resolver_match
    return (match.route or "/") if match else "none"


def outcomes_of(response: HttpResponse) -> list[str]:
    """Return the outcomes of the response's document, or of those of a batch."""
    data = getattr(response, "data", None)
    if not isinstance(data, dict):
        return []
    outcomes = [each.get("outcome") for each in (data, *data.get("results", ()))]
    return [outcome for outcome in outcomes if outcome in OUTCOMES]
