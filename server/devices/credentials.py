"""A device's credentials: a token for HTTP, and a password for the MQTT broker."""

import contextlib
import logging
from datetime import timedelta

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured, ValidationError
from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from server.care.models import Person
from server.common.mqtt import BrokerError
from server.devices.broker_access import (
    create_broker_account,
    delete_broker_account,
    forget_settings,
)
from server.devices.models import ClaimCode, Device, DeviceToken

log = logging.getLogger(__name__)

# A person may add at most DEVICES_PER_PERSON devices within this time.
WHILE = timedelta(days=1)


def expect_room(person: Person) -> None:
    """Raise `ValidationError` if the person has, or has added, too many devices.

    Call this in the transaction that adds a device: it locks the person's row, so that concurrent
    requests can't exceed the limit together.
    """
    most = settings.DEVICES_PER_PERSON
    if not most:
        return
    with transaction.atomic():
        Person.objects.select_for_update().get(pk=person.pk)
        devices = Device.objects.filter(person=person)
        added = devices.filter(created_at__gt=timezone.now() - WHILE).count()
        if max(added, devices.filter(revoked_at=None).count()) >= most:
            text = _(
                "You can have at most %(most)d devices, and add at most %(most)d in a day."
            ) % {"most": most}
            raise ValidationError(text, "too_many_devices")


def issue(
    device: Device, code: ClaimCode | None = None, *, by: Person | None = None
) -> dict[str, str]:
    """Issue new credentials; save the device if it is new, and use up its claim code.

    `by` is who can learn them, `None` for the server's operator.

    The previous token stays valid. `mqtt_password` is only set if the server manages broker
    accounts, and replaces the previous one. Raises `BrokerError`; then no token was issued. The
    broker is called first, outside the transaction, so that waiting for it never locks the
    database. Raises `ValidationError` if the device was reassigned or revoked in the meantime, or
    if the code's person has too many devices.
    """
    _hide_settings(device, by)
    password = create_broker_account(device)
    try:
        with transaction.atomic():
            if device._state.adding:
                if code:
                    expect_room(device.person)
                device.save()
            else:
                _lock_unchanged(device)
            if code:
                code.use(device=device)
            told = {"device": str(device.pk), "token": DeviceToken.issue(device)}
    except Exception:
        with contextlib.suppress(BrokerError):  # nobody was told the password
            delete_broker_account(device)
        raise
    return told | ({"mqtt_password": password} if password else {})


def _hide_settings(device: Device, by: Person | None) -> None:
    """Keep what was set for the device's person, or the one before, from who gets credentials now.

    Call this before they exist: the broker retains the last settings. Raises `BrokerError`.
    """
    is_others = by is not None and by.pk != device.person_id
    if is_others:
        device.others_credentials_at = timezone.now()
    if device._state.adding or not (is_others or device.credentials_ended):
        return
    Device.objects.filter(pk=device.pk).update(others_credentials_at=device.others_credentials_at)
    forget_settings(device)


def _lock_unchanged(device: Device) -> None:
    """Lock the device, and note that it has credentials again."""
    now = Device.objects.select_for_update().get(pk=device.pk)
    if now.revoked_at or now.person_id != device.person_id:
        text = _("The device has been reassigned or blocked in the meantime.")
        raise ValidationError(text, "device_changed")
    Device.objects.filter(pk=device.pk).update(credentials_ended=False)


def end_tokens(device: Device) -> None:
    """End the device's credentials on the server; the caller saves the device.

    Call this in the transaction that changes its owner, and `end_broker_account` after it.
    """
    DeviceToken.live(device).update(revoked_at=timezone.now())
    device.credentials_ended = True


def end_broker_account(device: Device) -> None:
    """Delete the broker account of a reassigned device, which closes its connection.

    If the broker can't be reached, the account stays until new credentials replace it. Until then
    the server neither listens to the device nor sends it anything, so that is no error.
    """
    try:
        delete_broker_account(device)
    except (BrokerError, ImproperlyConfigured) as error:
        log.error("could not delete the account of a reassigned device: the broker %s", error)


def revoke(device: Device) -> None:
    """Revoke the device's access by HTTP and MQTT. Its unsent sessions stay on it.

    Raises `BrokerError` if its broker account could not be deleted. Even then the server accepts
    nothing from the device: its messages are not acknowledged.
    """
    device.revoked_at = device.revoked_at or timezone.now()
    device.save(update_fields=["revoked_at"])
    delete_broker_account(device)
