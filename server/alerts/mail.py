"""Notices by e-mail, through Django's mail and the server that the settings name."""

import smtplib
from collections.abc import Callable

from django.conf import settings
from django.core.mail import EmailMessage, get_connection
from django.core.mail.backends.base import BaseEmailBackend
from django.utils import translation
from django.utils.translation import gettext as _

from server.alerts.models import Alert, Delivery, Notice, Receiver
from server.alerts.outbox import SendError
from server.alerts.words import ending, heading, sentence


class Mailer:
    """Sends over one connection for as long as a pass lasts."""

    def __init__(self) -> None:
        self._connection: BaseEmailBackend | None = None

    def __call__(self, delivery: Delivery, receiver: Receiver) -> None:
        """Send one notice; raises `SendError`."""
        with translation.override(receiver.person.language):
            message = notice(delivery.alert, Notice(delivery.notice), receiver.confirmed_email)
        message.extra_headers["Message-ID"] = f"<notice-{delivery.pk}@{domain()}>"
        _bounded(lambda: self._send(message))

    def close(self) -> None:
        """End the connection, if there is one."""
        if self._connection is not None:
            self._connection.close()

    def _send(self, message: EmailMessage) -> None:
        if self._connection is None:
            connection = get_connection()
            connection.open()
            self._connection = connection
        message.connection = self._connection
        message.send()


def notice(alert: Alert, told: Notice, address: str) -> EmailMessage:
    """In the active language. The subject names whom it is about and nothing that was measured."""
    over = told == Notice.RESOLVED
    subject = _("Blinklog: over – %(name)s") if over else _("Blinklog: a notice about %(name)s")  # noqa: RUF001
    lines = [heading(alert), "", sentence(alert)]
    if over:
        lines += ["", ending(alert)]
    lines += ["", _("This is what was measured. It makes no diagnosis.")]
    if link := page_address():
        lines += ["", _("All alerts, and how you are told: %(link)s") % {"link": link}]
    name = " ".join(alert.person.label.split())  # a header has one line
    return EmailMessage(subject % {"name": name}, "\n".join(lines) + "\n", to=[address])


def send_confirmation(address: str, link: str) -> None:
    """A link to the address that it confirms; raises `SendError`."""
    text = _(
        "Somebody who is logged in to Blinklog wants to get notices at this address.\n\nIf that "
        "was you, open this within a day:\n%(link)s\n\nIf it was not, there is nothing to do."
    )
    message = EmailMessage(
        _("Blinklog: confirm this address"), text % {"link": link} + "\n", to=[address]
    )
    _bounded(message.send)


def configured() -> bool:
    """Whether this server can send mail at all."""
    return bool(settings.EMAIL_URL)


def page_address() -> str:
    """Of the page of alerts, where the server knows how people reach it."""
    return f"{settings.PUBLIC_URL}/alerts/" if settings.PUBLIC_URL else ""


def domain() -> str:
    """Of the sender's address."""
    return settings.DEFAULT_FROM_EMAIL.rpartition("@")[2].rstrip(">") or "localhost"


def _bounded(send: Callable[[], object]) -> None:
    """Errors by what they mean for the next try. Every wait has Django's EMAIL_TIMEOUT."""
    if not configured():
        raise SendError("this server sends no mail: BLINKLOG_EMAIL_URL is not set", whole=True)
    try:
        send()
    except smtplib.SMTPRecipientsRefused as error:
        codes = [code for code, _text in error.recipients.values()]
        gone = bool(codes) and min(codes) >= 500
        raise SendError(f"the mail server refused the address: {codes}", permanent=gone) from None
    except smtplib.SMTPResponseException as error:
        raise SendError(f"the mail server answered {error.smtp_code}", whole=True) from None
    except (OSError, smtplib.SMTPException) as error:
        raise SendError(
            f"the mail server can't be reached: {type(error).__name__}", whole=True
        ) from None
