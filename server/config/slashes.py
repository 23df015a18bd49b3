"""Addresses of the API without the slash at their end."""

from collections.abc import Callable

from django.http import HttpRequest
from django.http.response import HttpResponseBase


class AnswerWithoutSlash:
    """Middleware that answers an address of the API without its last slash as with it.

    Django would redirect the client, which then sends a GET request without the body.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if request.path_info.startswith("/api/") and not request.path_info.endswith("/"):
            request.path_info += "/"
            request.path += "/"
        return self.get_response(request)
