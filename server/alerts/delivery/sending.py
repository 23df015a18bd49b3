"""Connect the outbox to its senders, one per channel."""

from server.alerts import webhook
from server.alerts.mail import Mailer
from server.alerts.models import Way
from server.alerts.outbox import deliver


def deliver_all() -> tuple[int, int]:
    """Send due deliveries. Return how many were sent and how many failed."""
    mailer = Mailer()
    try:
        return deliver({Way.EMAIL: mailer, Way.WEBHOOK: webhook.post})
    finally:
        mailer.close()
