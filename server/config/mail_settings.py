"""Django's e-mail settings, read from one URL."""

from typing import Any
from urllib.parse import unquote, urlsplit

from django.core.exceptions import ImproperlyConfigured

from server.common.secret_files import read_secret

NAME = "BLINKLOG_EMAIL_URL"
EXPECTED = "expected smtp+starttls://[user@]host[:port], smtps:, smtp: or file:///folder"
PORTS = {"smtp": 25, "smtp+starttls": 587, "smtps": 465}
LOCAL_HOSTS = ("localhost", "127.0.0.1", "::1")

# Timeout in seconds for each step of the conversation with the mail server.
TIMEOUT_S = 10


def mail_settings(address: str, password_file: str) -> dict[str, Any]:
    """Return the `EMAIL_...` settings for the mail server's URL. Without one, no mail is sent.

    Raises `ImproperlyConfigured`; its message never contains the password.
    """
    if not address:
        return {"EMAIL_BACKEND": "django.core.mail.backends.dummy.EmailBackend"}
    try:
        url = urlsplit(address)
        port = url.port
    except ValueError:  # its message may contain a part of the password
        raise ImproperlyConfigured(f"{NAME}: {EXPECTED}") from None
    if url.scheme == "file" and url.path:
        backend = "django.core.mail.backends.filebased.EmailBackend"
        return {"EMAIL_BACKEND": backend, "EMAIL_FILE_PATH": unquote(url.path)}
    if url.scheme not in PORTS or not url.hostname:
        raise ImproperlyConfigured(f"{NAME}: {EXPECTED}, found {url.scheme or 'none'}:")
    password = read_secret("BLINKLOG_EMAIL_PASSWORD_FILE", password_file) or unquote(
        url.password or ""
    )
    if password and url.scheme == "smtp" and url.hostname not in LOCAL_HOSTS:
        raise ImproperlyConfigured(f"{NAME}: expected smtp+starttls: or smtps: with a password")
    return {
        "EMAIL_BACKEND": "django.core.mail.backends.smtp.EmailBackend",
        "EMAIL_HOST": url.hostname,
        "EMAIL_PORT": port or PORTS[url.scheme],
        "EMAIL_HOST_USER": unquote(url.username or ""),
        "EMAIL_HOST_PASSWORD": password,
        "EMAIL_USE_TLS": url.scheme == "smtp+starttls",
        "EMAIL_USE_SSL": url.scheme == "smtps",
        "EMAIL_TIMEOUT": TIMEOUT_S,
    }
