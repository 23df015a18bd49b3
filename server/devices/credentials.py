"""A device's credentials: a token for HTTP, and a password for the MQTT broker."""

from django.db import transaction
from django.utils import timezone

from server.devices.broker_access import create_broker_account, delete_broker_account
from server.devices.models import ClaimCode, Device, DeviceToken


def issue(device: Device, code: ClaimCode | None = None) -> dict[str, str]:
    """Issue new credentials; save the device if it is new, and use up its claim code.

    The previous token stays valid. `mqtt_password` is only set if the server manages broker
    accounts, and replaces the previous one. Raises `BrokerError`; then no token was issued. The
    broker is called first, outside the transaction, so that waiting for it never locks the
    database.
    """
    password = create_broker_account(device)
    with transaction.atomic():
        if device._state.adding:
            device.save()
        if code:
            code.use(device=device)
        told = {"device": str(device.pk), "token": DeviceToken.issue(device)}
    return told | ({"mqtt_password": password} if password else {})


def revoke(device: Device) -> None:
    """Revoke the device's access by HTTP and MQTT. Its unsent sessions stay on it.

    Raises `BrokerError` if its broker account could not be deleted. Even then the server accepts
    nothing from the device: its messages are not acknowledged.
    """
    device.revoked_at = device.revoked_at or timezone.now()
    device.save(update_fields=["revoked_at"])
    delete_broker_account(device)
