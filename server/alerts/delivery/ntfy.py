"""Push notifications through ntfy: to a topic at ntfy.sh or at a server of one's own.

Topics of a public server can be read by whoever knows their name, so a message has the heading and
no measurement. Its button acknowledges the alert.
"""

import json
from typing import Any
from urllib.parse import urlsplit

from django.core.exceptions import ValidationError
from django.utils import translation
from django.utils.translation import gettext as _

from server.alerts.delivery.mail import page_address
from server.alerts.delivery.outbox import SendError
from server.alerts.delivery.outgoing import check_url, exchange
from server.alerts.handling.links import link_of
from server.alerts.handling.words import reason_told, title
from server.alerts.models import Delivery, Notice, Receiver
from server.alerts.words import heading

# ntfy's priorities: 3 is the default, 4 makes a longer sound.
URGENT, NORMAL, QUIET = 4, 3, 2
PRIORITIES = {
    Notice.ESCALATED: URGENT,
    Notice.REMINDER: URGENT,
    Notice.RESOLVED: QUIET,
    Notice.TAKEN: QUIET,
}
REFUSED = (401, 403)


def check_topic(address: str) -> None:
    """Check the address of a topic. Raises `ValidationError`."""
    check_url(address)
    server, topic = _split(address)
    if not server or not topic:
        text = _("Enter an address that ends with a name, such as https://ntfy.sh/my-name.")
        raise ValidationError(text)


def push(delivery: Delivery, receiver: Receiver) -> None:
    """Send one notification. Raises `SendError`."""
    with translation.override(receiver.person.mail_language):
        told = message(delivery)
    _publish(receiver, told)


def push_test(receiver: Receiver) -> None:
    """Send a test message. Raises `SendError`."""
    with translation.override(receiver.person.mail_language):
        text = _("This is a test message. Alerts from Blinklog will arrive here.")
        told = {"title": _("Blinklog: test"), "message": text}
    _publish(receiver, told)


def message(delivery: Delivery) -> dict[str, Any]:
    """Return the message, without the topic, in the active language."""
    told: dict[str, Any] = {
        "title": title(delivery),
        "message": " ".join(filter(None, (heading(delivery.alert) + ".", reason_told(delivery)))),
        "priority": PRIORITIES.get(Notice(delivery.notice), NORMAL),
    }
    if link := page_address():
        told["click"] = link
    if link := link_of(delivery):
        act = {"action": "http", "label": _("I'm looking after it"), "url": link, "clear": True}
        told["actions"] = [act]
    return told


def _split(address: str) -> tuple[str, str]:
    """Return the server's address and the topic; empty ones if there is not exactly one part."""
    url = urlsplit(address)
    parts = [part for part in url.path.split("/") if part]
    if not parts or url.query or url.fragment:
        return "", ""
    before = "/".join(["", *parts[:-1], ""])
    return f"{url.scheme}://{url.netloc}{before}", parts[-1]


def _publish(receiver: Receiver, told: dict[str, Any]) -> None:
    server, topic = _split(receiver.ntfy_url)
    headers = {"Content-Type": "application/json", "User-Agent": "Blinklog"}
    if receiver.ntfy_token:
        headers["Authorization"] = f"Bearer {receiver.ntfy_token}"
    status = exchange(server, json.dumps(told | {"topic": topic}).encode(), headers)
    if not 200 <= status < 300:
        raise SendError(f"the push server answered {status}", permanent=status in REFUSED)
