"""Error responses: JSON under /api/, pages elsewhere. They never contain other people's data."""

import logging
from typing import Any

from django.core.exceptions import RequestDataTooBig
from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views import defaults
from rest_framework.exceptions import ParseError, ValidationError
from rest_framework.response import Response
from rest_framework.views import exception_handler as rest_exception_handler

from server.common.parsing import PayloadTooLarge
from server.common.problems import RETRY_AFTER_S, first_errors

log = logging.getLogger(__name__)


def exception_handler(error: Exception, context: dict[str, Any]) -> Response | None:
    """Handle API errors: all have the form of `ProblemSerializer`.

    A database that is unavailable becomes a 503 with Retry-After.
    """
    if isinstance(error, (OperationalError, InterfaceError)):
        log.error("a request failed because of the database: %s", type(error).__name__)
        headers = {"Retry-After": str(RETRY_AFTER_S)}
        return Response({"detail": "the database is unavailable"}, status=503, headers=headers)
    if isinstance(error, RequestDataTooBig):  # raised by Django before our parser checks the size
        error = PayloadTooLarge()
    response = rest_exception_handler(error, context)
    if response is not None and isinstance(error, ValidationError):
        detail = "; ".join(first_errors(error.detail))
        response.data = {"detail": detail, "errors": error.detail}
    elif response is not None and isinstance(error, (ParseError, PayloadTooLarge)):
        # Permanent: the same bytes will be rejected again. A device parks them with this reason.
        response.data |= {"outcome": "rejected", "reason": str(error.detail)}
    return response


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Return a 404: JSON for the API, a page for browsers."""
    if request.path.startswith("/api/"):
        return JsonResponse({"detail": "Not found."}, status=404)
    return defaults.page_not_found(request, exception)


def server_error(request: HttpRequest) -> HttpResponse:
    """Return a 500: JSON for the API, a page for browsers."""
    if request.path.startswith("/api/"):
        return JsonResponse({"detail": "Internal server error."}, status=500)
    return defaults.server_error(request)
