"""Webhook notifications: a signed JSON POST to an address that a user entered."""

import hashlib
import hmac
import json
import time

from django.utils import translation

from server.alerts.delivery.outbox import SendError
from server.alerts.delivery.outgoing import exchange
from server.alerts.handling.links import link_of
from server.alerts.models import Delivery, Receiver
from server.alerts.serializers import alert_data

SIGNATURE = "Blinklog-Signature"
GONE = 410


def post(delivery: Delivery, receiver: Receiver) -> None:
    """Send one notification. Raises `SendError`."""
    _post(payload(delivery, receiver), receiver, str(delivery.pk))


def post_test(receiver: Receiver) -> None:
    """Send a test message, with the event `test` and no alert. Raises `SendError`."""
    _post(b'{"delivery":0,"event":"test","alert":null}', receiver, "0")


def _post(body: bytes, receiver: Receiver, delivery: str) -> None:
    now_s = int(time.time())
    headers = {
        "Content-Type": "application/json",
        "User-Agent": "Blinklog",
        "Blinklog-Delivery": delivery,
        SIGNATURE: signature(receiver.webhook_secret, now_s, body),
    }
    status = exchange(receiver.webhook_url, body, headers)
    if not 200 <= status < 300:
        raise SendError(f"the webhook answered {status}", permanent=status == GONE)


def payload(delivery: Delivery, receiver: Receiver) -> bytes:
    """Return the JSON body to post."""
    alert = delivery.alert
    with translation.override(receiver.person.mail_language):
        told = {
            "delivery": delivery.pk,
            "event": delivery.notice,
            "alert": alert_data([alert])[0],
            "acknowledge": link_of(delivery) or None,
        }
    return json.dumps(told, separators=(",", ":")).encode()


def signature(secret: str, at_s: int, body: bytes) -> str:
    """Return `t=<seconds>,v1=<hex>`: an HMAC-SHA256 of the seconds, a dot and the body."""
    made = hmac.new(secret.encode(), f"{at_s}.".encode() + body, hashlib.sha256)
    return f"t={at_s},v1={made.hexdigest()}"
