"""Secrets in files: passwords and tokens never stand in the environment itself."""

from pathlib import Path

from django.core.exceptions import ImproperlyConfigured


def read_secret(setting: str, file: str) -> str:
    """Return the secret in `file`, without white space around it; `""` if no file is named.

    `ImproperlyConfigured` names the setting and the problem, and never shows the content.
    """
    if not file:
        return ""
    try:
        return Path(file).read_text().strip()
    except OSError as error:
        raise ImproperlyConfigured(f"{setting}: {error}") from error
    except UnicodeDecodeError:  # its text shows a byte
        raise ImproperlyConfigured(f"{setting}: expected text in UTF-8 in {file}") from None
