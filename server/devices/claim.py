"""Claim a device: a person creates a single-use code, and the device registers with it.

How long a code is valid is `ClaimCode.LIFE` in models.py.
"""

from datetime import timedelta
from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.utils import timezone
from django.utils.translation import gettext as _

from server.care.audit import note
from server.care.models import AuditEvent, Institution, Person
from server.common.codes import NotACodeError
from server.common.fields import instant_text
from server.devices.credentials import expect_room, issue
from server.devices.models import ClaimCode, Device
from server.devices.release_key import release_key


def checked_label(text: str) -> str:
    """Return the label stripped of white space. Raises `ValidationError` if it is invalid."""
    label = text.strip()
    Device(label=label).clean_fields(exclude=["person"])
    if not label.isprintable():  # NUL, line breaks
        raise ValidationError({"label": _("Enter a name on one line.")})
    return label


def make_code(
    person: Person,
    label: str,
    maker: Person | None,
    life: timedelta | None = None,
    institution: Institution | None = None,
) -> tuple[ClaimCode, str]:
    """Create a claim code for a device of `person`; return it with its text.

    `maker` is `None` for the server's operator. If the person has too many valid codes, the oldest
    is withdrawn. Raises `ValidationError` for an invalid label, or if the person has too many
    devices.
    """
    label = checked_label(label)
    if maker is not None:
        expect_room(person)
    made, text = ClaimCode.issue(life, person=person, label=label, made_by=maker)
    live = ClaimCode.live().filter(person=person).values_list("pk", flat=True)
    for pk in list(live[ClaimCode.MOST_LIVE :]):
        ClaimCode(pk=pk).withdraw()
    note(maker, AuditEvent.CODE_MADE, person, label, institution=institution)
    return made, text


def valid_code(text: str) -> ClaimCode:
    """Return the claim code with this text. Raises `NotACodeError` if it is not valid now."""
    code = ClaimCode.find(text)
    if code is None or not code.is_authorised():
        raise NotACodeError
    return code


def claim(text: str, agent_version: str) -> dict[str, Any]:
    """Create the code's device and return its identity and credentials.

    Raises `NotACodeError`, or `BrokerError`; the code then stays valid. Raises `ValidationError` if
    the person has too many devices.
    """
    code = valid_code(text)
    expect_room(code.person)
    device = Device(person=code.person, label=code.label, agent_version=agent_version)
    with code.held():
        told = issue(device, code, by=code.made_by)
    note(code.made_by, AuditEvent.DEVICE_CLAIMED, code.person, code.label)
    return {
        "device": told["device"],
        "token": told["token"],
        "mqtt_password": told.get("mqtt_password"),
        "mqtt_url": settings.DEVICE_MQTT_URL or None,
        "label": device.label,
        "release_key": release_key(),
        "server_time": instant_text(timezone.now()),
    }
