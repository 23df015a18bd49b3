"""Connect the outbox to its senders, one per channel."""

from server.alerts.delivery import webhook
from server.alerts.delivery.mail import Mailer
from server.alerts.delivery.outbox import deliver
from server.alerts.models import Way


def deliver_all() -> tuple[int, int]:
    """Send due deliveries. Return how many were sent and how many failed."""
    mailer = Mailer()
    try:
        return deliver({Way.EMAIL: mailer, Way.WEBHOOK: webhook.post})
    finally:
        mailer.close()
