"""Error responses: JSON under /api/, pages elsewhere. They never contain other people's data."""

import sys

from django.core.exceptions import RequestDataTooBig
from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse, HttpResponseForbidden, JsonResponse
from django.middleware.csrf import REASON_BAD_ORIGIN
from django.template import loader
from django.views import defaults
from drf_standardized_errors.handler import ExceptionHandler
from rest_framework.exceptions import APIException, NotFound

from server.common.parsing import PayloadTooLarge
from server.common.problems import RETRY_AFTER_S, BadRequest, DatabaseUnavailable, problem

# What both databases raise if they are away, locked, full or too slow.
UNAVAILABLE = (OperationalError, InterfaceError)


class ProblemHandler(ExceptionHandler):
    """Handles every exception of an API view; server errors are logged with the original one."""

    def convert_known_exceptions(self, exc: Exception) -> Exception:
        """Convert exceptions of Django that are not the server's fault."""
        if isinstance(exc, UNAVAILABLE):
            return DatabaseUnavailable()
        if isinstance(exc, RequestDataTooBig):  # raised before our parser checks the size
            return PayloadTooLarge()
        return super().convert_known_exceptions(exc)

    def convert_unhandled_exceptions(self, exc: Exception) -> APIException:
        """Convert any other exception to a 500 that says nothing about it."""
        return exc if isinstance(exc, APIException) else _internal_error()


def _internal_error() -> APIException:
    return APIException("Internal server error.", "internal_error")


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Return a 400, such as for a wrong host name: JSON for the API, a page for browsers."""
    if request.path.startswith("/api/"):
        return JsonResponse(problem(BadRequest()), status=400)
    return defaults.bad_request(request, exception)


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Return a 404: JSON for the API, a page for browsers."""
    if request.path.startswith("/api/"):
        return JsonResponse(problem(NotFound()), status=404)
    return defaults.page_not_found(request, exception)


def server_error(request: HttpRequest) -> HttpResponse:
    """Return a 500, or a 503 while the database is unavailable: JSON for the API, else a page.

    Django calls this while it handles the exception.
    """
    unavailable = isinstance(sys.exception(), UNAVAILABLE)
    if request.path.startswith("/api/"):
        error = DatabaseUnavailable() if unavailable else _internal_error()
        response: HttpResponse = JsonResponse(problem(error), status=error.status_code)
    elif unavailable:
        response = HttpResponse(loader.render_to_string("503.html"), status=503)
    else:
        return defaults.server_error(request)
    if unavailable:
        response["Retry-After"] = str(RETRY_AFTER_S)
    return response


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    """Return a 403 page. It names the cause if the form's page has another address than the server.

    A reverse proxy that does not pass on the port or the scheme makes all forms fail like this.
    """
    context = {}
    origin = request.headers.get("Origin", "null")
    if origin != "null" and reason == REASON_BAD_ORIGIN % origin:
        context = {"origin": origin, "address": f"{request.scheme}://{request.get_host()}"}
    return HttpResponseForbidden(loader.render_to_string("403_csrf.html", context, request))
