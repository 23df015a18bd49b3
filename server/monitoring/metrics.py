"""What is counted of each request, for Prometheus; no path, no name, no id is in it.

Several worker processes count into files in one folder (prometheus-client's multiprocess mode),
which `blink-server serve` makes before the library is imported; whoever of them is asked answers
for all.
"""

import time
from collections.abc import Callable

from django.http import HttpRequest, HttpResponse
from prometheus_client import Counter, Histogram

REQUESTS = Histogram(
    "blinklog_request_seconds",
    "How long requests took, until the answer began.",
    ["method", "route", "status"],
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10),
)
DOCUMENTS = Counter(
    "blinklog_http_documents", "Session documents by HTTP, by what became of them.", ["outcome"]
)

METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}
WRITING = {"POST", "PUT", "PATCH"}
OUTCOMES = {"stored", "duplicate", "stale", "rejected"}


class CountRequests:
    """The outermost middleware: what it times is what a client waits for."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        begun_s = time.perf_counter()
        response = self.get_response(request)
        took_s = time.perf_counter() - begun_s
        method = request.method if request.method in METHODS else "other"
        status = f"{response.status_code // 100}xx"
        REQUESTS.labels(method, route_of(request), status).observe(took_s)
        if method in WRITING and (outcome := outcome_of(response)):
            DOCUMENTS.labels(outcome).inc()
        return response


def route_of(request: HttpRequest) -> str:
    """The pattern that the address matched, such as `people/<str:username>/`."""
    match = request.resolver_match
    return (match.route or "/") if match else "none"


def outcome_of(response: HttpResponse) -> str | None:
    """What the answer says became of a document, if it was about one."""
    data = getattr(response, "data", None)
    outcome = data.get("outcome") if isinstance(data, dict) else None
    return outcome if outcome in OUTCOMES else None
