"""Notifications through Apprise, which knows some 150 services: chats, pushes, text messages.

Apprise runs in a process of its own, under the same rules as webhooks (apprise_child.py).
"""

import json
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.exceptions import ValidationError
from django.utils import translation
from django.utils.translation import gettext as _

from server.alerts.delivery import apprise_child
from server.alerts.delivery.mail import page_address
from server.alerts.delivery.outbox import SendError
from server.alerts.handling.links import link_of
from server.alerts.handling.words import reason_told, title
from server.alerts.models import Delivery, Receiver
from server.alerts.words import heading

WHOLE_S = 30.0
# They act on this machine, or are our own channels already.
NOT_HERE = {"syslog", "dbus", "glib", "kde", "qt", "gnome", "macosx", "windows", "file"}


def available() -> bool:
    """Return whether Apprise is installed."""
    return find_spec("apprise") is not None


def check_address(address: str) -> None:
    """Check an Apprise URL without sending. Raises `ValidationError`."""
    scheme = urlsplit(address).scheme.lower() if address.isprintable() else ""
    try:
        good = bool(scheme) and scheme not in NOT_HERE and _run({"url": address}) == ""
    except SendError:
        good = False
    if not good:
        raise ValidationError(_("This is not an address that Apprise knows."))


def send(delivery: Delivery, receiver: Receiver) -> None:
    """Send one notification. Raises `SendError`."""
    with translation.override(receiver.person.mail_language):
        lines = [heading(delivery.alert) + ".", reason_told(delivery)]
        if link := link_of(delivery):
            lines.append(_("I am looking after it: %(link)s") % {"link": link})
        elif link := page_address():
            lines.append(link)
        _send(receiver, title(delivery), "\n".join(filter(None, lines)))


def send_test(receiver: Receiver) -> None:
    """Send a test message. Raises `SendError`."""
    with translation.override(receiver.person.mail_language):
        text = _("This is a test message. Alerts from Blinklog will arrive here.")
        _send(receiver, _("Blinklog: test"), text)


def _send(receiver: Receiver, subject: str, body: str) -> None:
    told = {"url": receiver.apprise_url, "title": subject, "body": body}
    if reason := _run(told | {"private": settings.WEBHOOK_PRIVATE}):
        raise SendError(reason)


def _run(told: dict[str, Any]) -> str:
    """Run the process; return why it failed, or an empty string. Raises `SendError`."""
    child = [sys.executable, "-I", "-B", str(Path(apprise_child.__file__))]
    try:
        done = subprocess.run(
            child,
            input=json.dumps(told),
            capture_output=True,
            text=True,
            timeout=WHOLE_S,
            env={"LANG": "C.UTF-8", "HOME": "/nonexistent"},
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise SendError(f"the service did not answer in {WHOLE_S:.0f} s") from None
    if done.returncode == apprise_child.SENT:
        return ""
    return done.stdout.strip()[:150] or "Apprise could not be run"
