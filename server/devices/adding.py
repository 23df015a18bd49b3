"""The page "Add a device": a code to show to the device, and the device's arrival.

The server keeps a code's hash only. Its text is in a signed cookie of the browser that made it,
which is sent to this page alone: so the page can be reloaded, and nobody else sees the text.
"""

from dataclasses import dataclass
from datetime import datetime, tzinfo
from typing import Any, Literal

import segno
from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.safestring import SafeString, mark_safe

from server.care.access import permissions
from server.care.models import Permission, Person
from server.care.pages.base import read_page, viewer_of
from server.care.words import moment_words
from server.common.codes import grouped
from server.devices import manage
from server.devices.authorities import claim_command, claim_text
from server.devices.claim import make_code
from server.devices.models import ClaimCode, Device

State = Literal["waiting", "arrived", "expired"]

# Seconds between two refreshes: until the device is connected, and then.
OFTEN_S, SELDOM_S = 3, 15


@dataclass(frozen=True)
class Arrival:
    """What became of a code. `device` is the one that used it."""

    state: State
    device: Device | None
    used: str
    may_start: bool

    @property
    def is_online(self) -> bool:
        """Whether the device is there and connected."""
        return self.device is not None and self.device.is_online is True

    @property
    def every(self) -> int | None:
        """Seconds until the next refresh; `None` if nothing changes any more."""
        if self.state == "expired":
            return None
        return SELDOM_S if self.is_online else OFTEN_S

    @property
    def version(self) -> str:
        """A text that changes with the content."""
        return f"{self.state}-{self.is_online}-{self.may_start}"


def code_made(request: HttpRequest, person: Person, label: str) -> HttpResponse:
    """Create a claim code and redirect to its page. Raises `ValidationError`."""
    viewer = viewer_of(request)
    made, text = make_code(person, label, viewer, None, manage.acting_for(viewer, person))
    response = redirect("devices:code", made.pk)
    response.set_signed_cookie(
        _cookie(made.pk),
        text,
        salt=_salt(viewer),
        expires=made.expires_at,
        path=reverse("devices:code", args=[made.pk]),
        secure=settings.SESSION_COOKIE_SECURE,
        httponly=True,
        samesite="Strict",
    )
    return response


@read_page
def code(request: HttpRequest, code_id: int) -> HttpResponse:
    """Show a claim code to the person who created it, and the device's arrival."""
    return render(request, "devices/code.html", _context(request, code_id))


@read_page
def code_live(request: HttpRequest, code_id: int) -> HttpResponse:
    """Return the part of that page that refreshes itself."""
    return render(request, "devices/parts/code.html", _context(request, code_id))


def _context(request: HttpRequest, code_id: int) -> dict[str, Any]:
    viewer = viewer_of(request)
    made = ClaimCode.objects.select_related("person", "device").filter(pk=code_id).first()
    if made is None or made.made_by_id not in (viewer.pk, None):
        raise Http404
    person = manage.person_to_manage(viewer, made.person.username)
    arrival = _arrival(viewer, made, timezone.now(), viewer.zone)
    text = None
    if arrival.state == "waiting":
        text = request.get_signed_cookie(_cookie(code_id), None, salt=_salt(viewer))
    address = request.build_absolute_uri("/").rstrip("/")
    return {
        "made": made,
        "person": person,
        "is_own": person == viewer,
        "arrival": arrival,
        "until": moment_words(made.expires_at, viewer.zone),
        "code": text and grouped(text),
        "picture": text and _picture(claim_text(address, text)),
        "command": text and claim_command(address, grouped(text)),
        "is_usable": request.is_secure() or _is_loopback(request),
    }


def _arrival(viewer: Person, made: ClaimCode, now: datetime, zone: tzinfo) -> Arrival:
    if made.used_at is not None:
        device = made.device
        if device is not None and (device.person_id, device.revoked_at) != (made.person_id, None):
            device = None  # reassigned or blocked since
        given = permissions(viewer, made.person)
        may_start = device is not None and device.is_online is True and Permission.CONTROL in given
        return Arrival("arrived", device, moment_words(made.used_at, zone), may_start)
    return Arrival("waiting" if made.expires_at > now else "expired", None, "", False)


def _is_loopback(request: HttpRequest) -> bool:
    """Return whether the server is on the browser's own machine, where a device needs no TLS."""
    host = request.get_host().rpartition(":")[0] or request.get_host()
    return host in ("localhost", "127.0.0.1", "[::1]")


def _cookie(code_id: int) -> str:
    return f"device_code_{code_id}"


def _salt(viewer: Person) -> str:
    """Return the signature's salt: another person in the same browser can't read the cookie."""
    return f"device code of {viewer.pk}"


def _picture(text: str) -> SafeString:
    """Return the QR code as inline SVG."""
    svg = segno.make(text, error="m", micro=False).svg_inline(
        scale=5, border=4, light="#fff", omitsize=True
    )
    return mark_safe(svg)
