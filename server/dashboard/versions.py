"""The versions of a page's live part, so that nothing is sent while it has not changed."""

from django.http import HttpRequest, HttpResponse, HttpResponseNotModified
from django.utils.http import parse_etags, quote_etag
from django.utils.translation import get_language


def version_of(text: str) -> str:
    """Return the version of a page's live part: its content's, in the reader's language."""
    return f"{text}-{get_language()}"


def unchanged(request: HttpRequest, version: str) -> HttpResponse | None:
    """Return 304 if the live part that the browser has is still right.

    live.js sends the version of its part, because nothing of a page is kept in a cache.
    """
    etag = quote_etag(version)
    if etag not in parse_etags(request.headers.get("If-None-Match", "")):
        return None
    return HttpResponseNotModified(headers={"ETag": etag})
