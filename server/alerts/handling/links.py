"""The link in a message by which its receiver acknowledges the alert, without logging in.

It works once, for a week. Opening it only shows a button, because mail servers open links too.
"""

from django.conf import settings
from django.core import signing
from django.urls import reverse

from server.alerts.models import Delivery, Kind, Notice

VALID_S = 7 * 86_400
SALT = "blinklog.alerts.acknowledge"
# Of these events the receiver is only informed.
INFORMS = (Notice.RESOLVED, Notice.TAKEN)


def link_of(delivery: Delivery) -> str:
    """Return the link for a message; empty without `PUBLIC_URL`, or if there is nothing to do."""
    informs = delivery.notice in INFORMS or delivery.alert.kind == Kind.RULES_ENDED
    if informs or not settings.PUBLIC_URL:
        return ""
    token = signing.dumps(delivery.pk, salt=SALT)
    return f"{settings.PUBLIC_URL}{reverse('alerts:by-link', args=[token])}"


def delivery_of(token: str) -> Delivery | None:
    """Return the message that a link was in, or `None` if it is invalid or expired."""
    try:
        pk = signing.loads(token, salt=SALT, max_age=VALID_S)
    except signing.BadSignature:
        return None
    found = Delivery.objects.select_related("alert__person", "alert__receiver")
    return found.filter(pk=pk).first()
