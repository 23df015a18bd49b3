"""Read passwords and tokens from files, so that they need not be in the environment."""

from pathlib import Path

from django.core.exceptions import ImproperlyConfigured


def read_secret(setting: str, file: str) -> str:
    """Return the secret in `file`, stripped of surrounding white space; `""` if no file is named.

    Raises `ImproperlyConfigured`, which names the setting and the problem but never the content.
    """
    if not file:
        return ""
    try:
        return Path(file).read_text().strip()
    except OSError as error:
        raise ImproperlyConfigured(f"{setting}: {error}") from error
    except UnicodeDecodeError:  # its message contains a byte of the secret
        raise ImproperlyConfigured(f"{setting}: expected text in UTF-8 in {file}") from None
