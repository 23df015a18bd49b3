"""The private authorities of server and broker, which a device has to trust to reach them.

A device learns their fingerprints from its code (`claim_text`), fetches the certificates over a
connection that it can't check yet, and uses them if they have that fingerprint.
"""

import hashlib
import logging
import re
import ssl
from base64 import b64decode, urlsafe_b64encode
from dataclasses import dataclass
from pathlib import Path

from django.conf import settings

log = logging.getLogger(__name__)

# Longer files are lists of public authorities, such as the system's, which devices have themselves.
# A device reads no longer answer.
MOST_BYTES = 12 * 1024
# Half of SHA-256: a smaller code is easier to read, and nobody can find certificates to match.
FINGERPRINT_BYTES = 16
PEM = re.compile(r"-----BEGIN CERTIFICATE-----([A-Za-z0-9+/=\s]+)-----END CERTIFICATE-----")


@dataclass(frozen=True)
class Authority:
    """The certificates of an authority in PEM, and their fingerprint."""

    certificates: str
    fingerprint: str


def fingerprint(certificates: str) -> str:
    """Return the first 16 bytes of the SHA-256 of the certificates in DER, in base64url.

    For one certificate that is the beginning of what `openssl x509 -fingerprint -sha256` shows.
    Raises ValueError if there is none.
    """
    digest = hashlib.sha256(b"".join(_in_der(certificates))).digest()[:FINGERPRINT_BYTES]
    return urlsafe_b64encode(digest).decode().rstrip("=")


def _in_der(certificates: str) -> list[bytes]:
    """Return the certificates of a text in PEM. Raises ValueError if there is none."""
    found = ["".join(each.split()) for each in PEM.findall(certificates)]
    if not found:
        raise ValueError("expected certificates in PEM, found none")
    return [b64decode(each, validate=True) for each in found]


def server_authority() -> Authority | None:
    """Return the authority of this server's certificate, if it is private."""
    return _authority("BLINKLOG_DEVICE_CA_FILE", settings.DEVICE_CA_FILE)


def broker_authority() -> Authority | None:
    """Return the authority of the broker's certificate, if it is private.

    It is the one that this server trusts itself. `None` if it is the server's own, which a device
    trusts for both.
    """
    if not settings.DEVICE_MQTT_URL.startswith("mqtts:"):
        return None
    found = _authority("BLINKLOG_MQTT_CA_FILE", settings.MQTT_CA_FILE)
    return None if found == server_authority() else found


def authority_with(wanted: str) -> Authority | None:
    """Return the authority with this fingerprint."""
    both = (server_authority(), broker_authority())
    return next((each for each in both if each and each.fingerprint == wanted), None)


def _authority(setting: str, file: str) -> Authority | None:
    """Return the authority in the file. One that can't be read is logged, and counts as none."""
    if not file:
        return None
    try:
        with Path(file).open(encoding="ascii", errors="replace") as opened:
            text = opened.read(MOST_BYTES + 1)
        if len(text) > MOST_BYTES:
            return None
        told = "".join(map(ssl.DER_cert_to_PEM_cert, _in_der(text)))
        return Authority(told, fingerprint(told))
    except (OSError, ValueError) as error:
        log.error("%s: expected certificates in PEM, found: %s", setting, error)
        return None


def claim_text(address: str, code: str) -> str:
    """Return the text of the code that a device reads: see `agent/enrol/codes.py`."""
    server, broker = server_authority(), broker_authority()
    text = f"blinklog:1;U:{address};C:{code}"
    if server:
        text += f";S:{server.fingerprint}"
    return text + (f";B:{broker.fingerprint}" if broker else "")


def claim_command(address: str, code: str) -> str:
    """Return the command that does the same in a terminal."""
    server, broker = server_authority(), broker_authority()
    command = f"sudo blink-agent enrol {address} {code}"
    if server:
        command += f" --ca-fingerprint={server.fingerprint}"
    return command + (f" --mqtt-ca-fingerprint={broker.fingerprint}" if broker else "")
