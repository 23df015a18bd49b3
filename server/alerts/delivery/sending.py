"""Connect the outbox to its senders, one per channel."""

from server.alerts.delivery import apprise, ntfy, webhook
from server.alerts.delivery.mail import Mailer
from server.alerts.delivery.outbox import Send, deliver
from server.alerts.models import Way


def deliver_all() -> tuple[int, int]:
    """Send due deliveries. Return how many were sent and how many failed."""
    mailer = Mailer()
    senders: dict[str, Send] = {
        Way.EMAIL: mailer,
        Way.WEBHOOK: webhook.post,
        Way.NTFY: ntfy.push,
        Way.APPRISE: apprise.send,
    }
    try:
        return deliver(senders)
    finally:
        mailer.close()
