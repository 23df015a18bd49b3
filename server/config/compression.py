"""Compress responses. What has a strong ETag has one of its own when it is compressed."""

from typing import Any

from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.middleware.gzip import GZipMiddleware, re_accepts_gzip

CONDITIONS = ("HTTP_IF_MATCH", "HTTP_IF_NONE_MATCH")
SUFFIX = '-gzip"'


class _SameBytes(GZipMiddleware):
    """Compresses the same content to the same bytes, as a strong ETag promises."""

    max_random_bytes = 0


class Compress(GZipMiddleware):
    """Middleware that compresses what the client lets it.

    Django adds random padding, against BREACH attacks on pages that contain secrets, and makes
    ETags weak; but If-Match needs strong ones. Responses with a strong ETag contain no secret and
    nothing of the request, and go without padding. Compressed, their ETag ends with `-gzip`; views
    don't see that in conditions.
    """

    def __init__(self, get_response: Any) -> None:
        super().__init__(get_response)
        self._same_bytes = _SameBytes(get_response)

    def process_request(self, request: HttpRequest) -> None:
        """Take the suffix from the ETags in the request's conditions."""
        for name in CONDITIONS:
            if name in request.META:
                request.META[name] = request.META[name].replace(SUFFIX, '"')

    def process_response(
        self, request: HttpRequest, response: HttpResponseBase
    ) -> HttpResponseBase:
        """Compress the response, and mark its ETag; that of a 304 as that of the 200 would be."""
        tag = response.headers.get("ETag", "")
        if not tag.startswith('"'):
            return super().process_response(request, response)
        told = self._same_bytes.process_response(request, response)
        accepts = re_accepts_gzip.search(request.headers.get("Accept-Encoding", ""))
        if "Content-Encoding" in told.headers or (told.status_code == 304 and accepts):
            told.headers["ETag"] = tag[:-1] + SUFFIX
        return told
