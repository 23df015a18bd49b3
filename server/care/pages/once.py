"""Show codes and secrets after a redirect, so that reloading the page makes no second one.

The secret is encrypted with a one-time pad: the browser's session has the pad, and the address of
the page has the rest. Neither says anything alone, so neither a copy of the database nor a log of
addresses has the secret. The page can be reloaded for ten minutes.
"""

import binascii
import json
import secrets
import time
from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Any
from urllib.parse import urlencode

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _

from server.care.pages.base import read_page

PAD = "shown_once"
SHOWN_S = 600
TEMPLATES = {
    "invitation": "care/invited.html",
    "activation": "care/activation.html",
    "token": "care/app_token.html",
    "recovery codes": "care/recovery_codes.html",
    "credentials": "devices/credentials.html",
    "sheet link": "visit/made.html",
}


def show_once(request: HttpRequest, what: str, context: dict[str, Any]) -> HttpResponse:
    """Redirect to a page that shows `context`, which has only JSON values, by a template."""
    data = json.dumps([what, context]).encode()
    pad = secrets.token_bytes(len(data))
    request.session[PAD] = {"pad": _text(pad), "until": time.time() + SHOWN_S}
    return redirect(f"{reverse('care:once')}?{urlencode({'t': _text(_xor(data, pad))})}")


@read_page
def once(request: HttpRequest) -> HttpResponse:
    """Show what the last form made, or say that it is not shown again."""
    found = _shown(request)
    if found is None:
        messages.error(request, _("Codes are shown for ten minutes only. Create a new one."))
        return redirect("dashboard:people")
    what, context = found
    return render(request, TEMPLATES[what], context)


def _shown(request: HttpRequest) -> tuple[str, dict[str, Any]] | None:
    kept = request.session.get(PAD)
    if kept is None or kept["until"] < time.time():
        return None
    try:
        data = urlsafe_b64decode(request.GET.get("t", ""))
        what, context = json.loads(_xor(data, urlsafe_b64decode(kept["pad"])))
    except (binascii.Error, ValueError):
        return None
    return (what, context) if what in TEMPLATES else None


def _xor(one: bytes, other: bytes) -> bytes:
    """Raises `ValueError` if the lengths differ."""
    return bytes(a ^ b for a, b in zip(one, other, strict=True))


def _text(data: bytes) -> str:
    return urlsafe_b64encode(data).decode()
