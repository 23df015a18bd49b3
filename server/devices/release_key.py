"""The public key that signs releases: devices get it with their identity, and keep it."""

from django.conf import settings

MOST_BYTES = 4096


def release_key() -> str | None:
    """Return the key in PEM; None if the operator offers no releases."""
    try:
        with (settings.RELEASES_DIR / "key.pem").open(encoding="ascii") as file:
            return file.read(MOST_BYTES)
    except (OSError, UnicodeDecodeError):
        return None
