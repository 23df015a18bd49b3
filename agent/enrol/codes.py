"""Parse the two codes that a device reads with its camera. Pure: text in, values out.

The first is what phones show to share a Wi-Fi network (the "WIFI:" text of ZXing and of the Wi-Fi
Alliance's WPA3 Specification, section 7.1):

    WIFI:S:Anna\\;s home;T:WPA;P:secret;H:true;;

The second is ours, shown by the server's page "Add a device". Its first field is the version, its
others are the server's address, the claim code, and the fingerprints of the private authorities of
server and broker, if they have one:

    blinklog:1;U:https://blinklog.example.org;C:ABCD2345;S:...;B:...
"""

import re
from dataclasses import dataclass, field
from typing import Literal

from agent.errors import AgentError

LONGEST_TEXT = 512
"""Longest code in characters. The longest Wi-Fi code with every character escaped has 360."""

SCHEME, VERSION = "blinklog:", "1"
FINGERPRINT_LENGTH = 22  # 16 bytes in base64url without padding

Security = Literal["open", "wpa", "sae"]
"""`wpa` is WPA and WPA2, and WPA3 where the network has both; `sae` is WPA3 alone."""

_FINGERPRINT = re.compile(rf"[A-Za-z0-9_-]{{{FINGERPRINT_LENGTH}}}")
_ADDRESS = re.compile(r"https?://[!-:<-~]{1,250}")  # printable ASCII without the semicolon
_CLAIM_CODE = re.compile(r"[A-HJ-NP-Z2-9]{8}")
_HEX_KEY = re.compile(r"[0-9A-Fa-f]{64}")
_SECURITIES: dict[str, Security] = {
    "": "open", "nopass": "open", "wpa": "wpa", "wpa2": "wpa", "wpa2-psk": "wpa",
    "wpa/wpa2": "wpa", "sae": "sae", "wpa3": "sae",
}  # fmt: skip
_TRUTHS = {"": False, "false": False, "0": False, "true": True, "1": True}


Kind = Literal["wifi", "server", "other"]
"""What a text is meant to be."""


class CodeError(AgentError, ValueError):
    """The text is no code that can be used. `kind` is what it was meant to be."""

    def __init__(self, message: str, kind: Kind) -> None:
        super().__init__(message)
        self.kind = kind


@dataclass(frozen=True, slots=True)
class WifiCode:
    """A Wi-Fi network: its name as bytes, 1 to 32, and the password, empty for an open one."""

    ssid: bytes
    security: Security
    password: str = field(default="", repr=False)
    hidden: bool = False


@dataclass(frozen=True, slots=True)
class ServerCode:
    """A server's address, its claim code, and the fingerprints of private authorities.

    A fingerprint is the first 16 bytes of the SHA-256 of an authority's certificates, in base64url;
    None stands for a public authority.
    """

    url: str
    code: str = field(repr=False)
    ca: str | None = None
    mqtt_ca: str | None = None

    def text(self) -> str:
        """Return the text of the code."""
        fields = {"U": self.url, "C": self.code, "S": self.ca, "B": self.mqtt_ca}
        told = [f"{key}:{value}" for key, value in fields.items() if value is not None]
        return ";".join([SCHEME + VERSION, *told])


Code = WifiCode | ServerCode


def parse(text: str) -> Code:
    """Return what the code says. Raises CodeError, whose message never quotes a secret."""
    if len(text) > LONGEST_TEXT:
        raise CodeError(
            f"the code is too long: expected at most {LONGEST_TEXT} characters, found {len(text)}",
            "other",
        )
    if text[:5].upper() == "WIFI:":
        return _wifi(text[5:])
    if text[: len(SCHEME)].lower() == SCHEME:
        return _server(text[len(SCHEME) :])
    raise CodeError("the code is neither of a Wi-Fi network nor of a Blinklog server", "other")


# Wi-Fi


def _wifi(text: str) -> WifiCode:
    fields = _wifi_fields(text)
    if {"E", "PH2", "A", "I"} & set(fields) or "EAP" in fields.get("T", "").upper():
        raise CodeError(
            "the Wi-Fi code is of an enterprise network (WPA-EAP), which needs more than a code:"
            " join it with nmcli",
            "wifi",
        )
    return wifi(
        fields.get("S", ""),
        fields.get("P", ""),
        _security(fields),
        hidden=_truth(fields.get("H", "")),
    )


def wifi(name: str, password: str, security: Security, *, hidden: bool) -> WifiCode:
    """Return the network if its values are possible. Raises CodeError."""
    ssid = name.encode("utf-8", "surrogatepass")
    if not 1 <= len(ssid) <= 32:
        raise CodeError(f"the Wi-Fi's name: expected 1 to 32 bytes, found {len(ssid)}", "wifi")
    if not password.isprintable() or "\x00" in name:
        raise CodeError("the Wi-Fi's name or password has characters that none has", "wifi")
    if security == "open":
        return WifiCode(ssid, "open", hidden=hidden)
    longest, least = (63, 8) if security == "wpa" else (127, 1)
    fits = least <= len(password.encode("utf-8", "surrogatepass")) <= longest
    if not (fits or (security == "wpa" and _HEX_KEY.fullmatch(password))):
        raise CodeError(
            f"the Wi-Fi's password: expected {least} to {longest} characters, found"
            f" {len(password)}",
            "wifi",
        )
    return WifiCode(ssid, security, password, hidden)


def _wifi_fields(text: str) -> dict[str, str]:
    r"""Return the fields; a backslash escapes the next character. The first of a name counts.

    A value that could be read as hexadecimal may be in quotes, which are not part of it.
    """
    fields: dict[str, str] = {}
    for each in _split(text):
        key, colon, value = each.partition(":")
        if not colon:
            raise CodeError("the Wi-Fi code is damaged: a field has no value", "wifi")
        quoted = len(value) > 1 and value[0] == value[-1] == '"' and value[-2] != "\\"
        fields.setdefault(key.upper(), _unescaped(value[1:-1] if quoted else value))
    return fields


def _split(text: str) -> list[str]:
    """Split at semicolons that are not escaped, up to the empty field at the end."""
    fields = re.findall(r"((?:[^\\;]|\\.)*);", text, re.DOTALL)
    if "".join(f"{each};" for each in fields) != text:
        raise CodeError("the Wi-Fi code is damaged: its end is missing", "wifi")
    return [each for each in fields if each]


def _unescaped(value: str) -> str:
    return re.sub(r"\\(.)", r"\1", value, flags=re.DOTALL)


def _security(fields: dict[str, str]) -> Security:
    """Return the security; `R` (transition disable) with its first bit means WPA3 alone."""
    named = fields.get("T", "")
    security = _SECURITIES.get(named.lower())
    if security is None:
        shown = "".join(filter(str.isprintable, named))[:20]
        raise CodeError(
            f"the Wi-Fi's security {shown!r} is not supported: expected WPA, SAE or none", "wifi"
        )
    if security == "open" and not named and fields.get("P"):
        return "wpa"
    disabled = fields.get("R", "")
    if security == "wpa" and re.fullmatch(r"[0-9A-Fa-f]{1,4}", disabled) and int(disabled, 16) & 1:
        return "sae"
    return security


def _truth(text: str) -> bool:
    try:
        return _TRUTHS[text.lower()]
    except KeyError:
        raise CodeError("the Wi-Fi code: H: expected true or false", "wifi") from None


# Our own


def _server(text: str) -> ServerCode:
    version, *parts = text.split(";")
    if version != VERSION:
        raise CodeError(
            f"the server's code is of version {version[:8]!r}, and this device knows {VERSION!r}:"
            " upgrade the older one of the two",
            "server",
        )
    fields = dict(each.partition(":")[::2] for each in parts if each)
    return server(fields.get("U", ""), fields.get("C", ""), fields.get("S"), fields.get("B"))


def server(url: str, code: str, ca: str | None, mqtt_ca: str | None) -> ServerCode:
    """Return the server's code if its values are possible. Raises CodeError."""
    if not _ADDRESS.fullmatch(url):
        raise CodeError("the server's code: expected an address https://…", "server")
    if not _CLAIM_CODE.fullmatch(code):
        raise CodeError("the server's code: expected eight letters and digits", "server")
    for each in (ca, mqtt_ca):
        if each is not None and not _FINGERPRINT.fullmatch(each):
            raise CodeError(
                f"the server's code: expected fingerprints of {FINGERPRINT_LENGTH} characters",
                "server",
            )
    return ServerCode(url, code, ca, mqtt_ca)
