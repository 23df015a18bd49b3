"""E-mail notifications, sent through the mail server of Django's settings."""

import smtplib
from collections.abc import Callable

from django.conf import settings
from django.core.mail import EmailMessage, get_connection
from django.core.mail.backends.base import BaseEmailBackend
from django.utils import translation
from django.utils.translation import gettext as _

from server.alerts.delivery.outbox import SendError
from server.alerts.handling.links import link_of
from server.alerts.handling.words import reason_told, title
from server.alerts.models import Delivery, Kind, Notice, Receiver
from server.alerts.words import advice, ending, heading, sentence
from server.care.models import AccessRequest, Person
from server.care.words import given_words


class Mailer:
    """Sends the e-mails of one pass over a single connection."""

    def __init__(self) -> None:
        self._connection: BaseEmailBackend | None = None

    def __call__(self, delivery: Delivery, receiver: Receiver) -> None:
        """Send one notification. Raises `SendError`."""
        with translation.override(receiver.person.mail_language):
            message = notice(delivery, receiver.confirmed_email)
        message.extra_headers["Message-ID"] = f"<notice-{delivery.pk}@{domain()}>"
        _bounded(lambda: self._send(message))

    def close(self) -> None:
        """Close the connection, if open."""
        if self._connection is not None:
            self._connection.close()

    def _send(self, message: EmailMessage) -> None:
        if self._connection is None:
            connection = get_connection()
            connection.open()
            self._connection = connection
        message.connection = self._connection
        message.send()


def notice(delivery: Delivery, address: str) -> EmailMessage:
    """Return the e-mail in the active language. Its subject has the name, but no measurement."""
    alert, ended = delivery.alert, delivery.alert.kind == Kind.RULES_ENDED
    lines = [heading(alert), "", sentence(alert)]
    if reason := reason_told(delivery):
        lines = [reason, "", *lines]
    if delivery.notice == Notice.RESOLVED:
        lines += ["", ending(alert)]
    if steps := advice(alert):
        lines += ["", steps]
        if help_link := help_address():
            lines += [_("With pictures: %(link)s") % {"link": help_link}]
    if not ended:
        lines += ["", _("This is a measurement, not a diagnosis.")]
    if link := link_of(delivery):
        lines += ["", _("I am looking after it: %(link)s") % {"link": link}]
    if link := page_address():
        lines += ["", _("View alerts and change notifications: %(link)s") % {"link": link}]
    subject = " ".join(title(delivery).split())  # headers must not contain line breaks
    return EmailMessage(subject, "\n".join(lines) + "\n", to=[address])


def send_confirmation(address: str, link: str) -> None:
    """Send a confirmation link to an address. Raises `SendError`."""
    text = _(
        "A Blinklog user wants to receive alerts at this address.\n\nIf this was you, log in "
        "and open this link within 24 hours:\n%(link)s\n\nIf not, ignore this e-mail."
    )
    message = EmailMessage(
        _("Blinklog: confirm your e-mail address"), text % {"link": link} + "\n", to=[address]
    )
    _bounded(message.send)


def send_test(receiver: Receiver) -> None:
    """Send a test message in the receiver's language. Raises `SendError`."""
    with translation.override(receiver.person.mail_language):
        text = _("This is a test message. Alerts from Blinklog will arrive at this address.")
        message = EmailMessage(_("Blinklog: test"), text + "\n", to=[receiver.confirmed_email])
    _bounded(message.send)


def new_password(person: Person, address: str, link: str) -> EmailMessage:
    """Return the e-mail with a link to choose a new password, in the person's language."""
    with translation.override(person.mail_language):
        text = _(
            "Somebody asked for a new password for the user name %(name)s.\n\nIf this was you, "
            "open this link within an hour:\n%(link)s\n\nIf not, ignore this e-mail: the password "
            "stays."
        )
        body = text % {"name": person.username, "link": link} + "\n"
        return EmailMessage(_("Blinklog: choose a new password"), body, to=[address])


def access_asked(request: AccessRequest, receiver: Receiver) -> EmailMessage:
    """Return the e-mail about a request for access, in the receiver's language.

    It is without the asker's sentence, which could contain links.
    """
    with translation.override(receiver.person.mail_language):
        text = _(
            "%(name)s (%(username)s), a member of %(institution)s, asks for access to your data: "
            "%(given)s.\n\nNothing can be seen until you agree. Agree or decline on the page "
            "Sharing."
        )
        body = text % {
            "name": request.asker.label,
            "username": request.asker.username,
            "institution": request.institution.name,
            "given": given_words(request.permissions),
        }
        link = f"\n\n{settings.PUBLIC_URL}/sharing/" if settings.PUBLIC_URL else ""
        subject = _("Blinklog: a request for access")
        return EmailMessage(subject, f"{body}{link}\n", to=[receiver.confirmed_email])


def send(message: EmailMessage) -> None:
    """Send an e-mail now. Raises `SendError`."""
    _bounded(message.send)


def configured() -> bool:
    """Return whether this server can send e-mail."""
    return bool(settings.EMAIL_URL)


def page_address() -> str:
    """Return the URL of the alerts page, or an empty string without `PUBLIC_URL`."""
    return f"{settings.PUBLIC_URL}/alerts/" if settings.PUBLIC_URL else ""


def help_address() -> str:
    """Return the URL of the help for a silent device, or an empty string without `PUBLIC_URL`."""
    return f"{settings.PUBLIC_URL}/help/#not-connected" if settings.PUBLIC_URL else ""


def domain() -> str:
    """Return the domain of the sender's address."""
    return settings.DEFAULT_FROM_EMAIL.rpartition("@")[2].rstrip(">") or "localhost"


def _bounded(send: Callable[[], object]) -> None:
    """Send, and turn mail errors into `SendError`. Django's EMAIL_TIMEOUT bounds every wait."""
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
