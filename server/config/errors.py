"""What a client is told when something went wrong: JSON under /api/, and nothing about others."""

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
    """REST framework's own in one form (`ProblemSerializer`); 503 while the database is away."""
    if isinstance(error, (OperationalError, InterfaceError)):
        log.error("the database failed a request: %s", type(error).__name__)
        headers = {"Retry-After": str(RETRY_AFTER_S)}
        return Response({"detail": "the database is away"}, status=503, headers=headers)
    if isinstance(error, RequestDataTooBig):  # where Django noticed before our parser did
        error = PayloadTooLarge()
    response = rest_exception_handler(error, context)
    if response is not None and isinstance(error, ValidationError):
        detail = "; ".join(first_errors(error.detail))
        response.data = {"detail": detail, "errors": error.detail}
    elif response is not None and isinstance(error, (ParseError, PayloadTooLarge)):
        # For good: the same bytes will be refused again. A device parks them with this reason.
        response.data |= {"outcome": "rejected", "reason": str(error.detail)}
    return response


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """404, as JSON for programs and as a page for people."""
    if request.path.startswith("/api/"):
        return JsonResponse({"detail": "Not found."}, status=404)
    return defaults.page_not_found(request, exception)


def server_error(request: HttpRequest) -> HttpResponse:
    """500, as JSON for programs and as a page for people."""
    if request.path.startswith("/api/"):
        return JsonResponse({"detail": "Something went wrong here."}, status=500)
    return defaults.server_error(request)
