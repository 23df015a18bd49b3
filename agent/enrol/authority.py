"""Fetch a private authority's certificates, known by their fingerprint, from the server.

The connection can't be checked yet: what it brings is used only if it has the fingerprint, which
came from the server's page by another way.
"""

import contextlib
import hashlib
import hmac
import json
import re
import ssl
import tempfile
from base64 import urlsafe_b64encode
from collections.abc import Iterator
from pathlib import Path

from agent.enrol.codes import FINGERPRINT_LENGTH
from agent.errors import AgentError, ConfigError
from agent.transport.request import ANSWER_BYTES, Answer, UnreachedError, ask

PATH = "/api/device/authorities/"
FINGERPRINT_BYTES = 16

_PEM = re.compile(r"-----BEGIN CERTIFICATE-----[\s\S]+?-----END CERTIFICATE-----")
_FINGERPRINT = re.compile(rf"[A-Za-z0-9_-]{{{FINGERPRINT_LENGTH}}}")


class AuthorityError(AgentError):
    """The certificates were not received, or are others. The claim code was not used."""


def fingerprint(certificates: str) -> str:
    """Return the first 16 bytes of the SHA-256 of all certificates in DER, in base64url.

    Raises ValueError if there is none.
    """
    found = [ssl.PEM_cert_to_DER_cert(each) for each in _PEM.findall(certificates)]
    if not found:
        raise ValueError("expected certificates in PEM")
    digest = hashlib.sha256(b"".join(found)).digest()[:FINGERPRINT_BYTES]
    return urlsafe_b64encode(digest).decode().rstrip("=")


@contextlib.contextmanager
def fetched(url: str, wanted: str | None) -> Iterator[Path | None]:
    """Yield a file with the certificates that have this fingerprint; None without a fingerprint.

    Raises ConfigError, UnreachedError or AuthorityError.
    """
    if wanted is None:
        yield None
        return
    certificates = _certificates(url, wanted)
    with tempfile.TemporaryDirectory(prefix="blinklog-") as folder:
        file = Path(folder) / "authority.crt"
        file.write_text(certificates, "ascii")
        yield file


def _certificates(url: str, wanted: str) -> str:
    if not _FINGERPRINT.fullmatch(wanted):
        raise ConfigError(
            f"the fingerprint: expected {FINGERPRINT_LENGTH} characters, found {wanted!r}"
        )
    try:
        answer = ask("GET", f"{url}{PATH}{wanted}/", checked=False)
    except UnreachedError as error:
        raise UnreachedError(f"{url}: {error}", sent=False) from error
    certificates = _text(answer)
    if certificates is None:
        raise AuthorityError(
            f"{url} has no authority with this fingerprint: was its certificate renewed? Make a new"
            " code"
        )
    try:
        found = fingerprint(certificates)
    except ValueError:
        found = "none"
    if not hmac.compare_digest(found, wanted):
        raise AuthorityError(
            f"{url}: the authority's fingerprint: expected {wanted}, found {found}: somebody may"
            " be answering in the server's place"
        )
    return "\n".join(_PEM.findall(certificates)) + "\n"


def _text(answer: Answer) -> str | None:
    """Return the certificates of the answer, or None if it has none."""
    if answer.status != 200 or len(answer.body) >= ANSWER_BYTES:
        return None
    try:
        value = json.loads(answer.body)["certificates"]
    except (ValueError, RecursionError, KeyError, TypeError):
        return None
    return value if isinstance(value, str) and value.isascii() else None
