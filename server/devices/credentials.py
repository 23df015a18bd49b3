"""What a device proves itself with at either door: a token for HTTP, a password at the broker."""

from django.db import transaction
from django.utils import timezone

from server.devices.broker_access import admit, shut_out
from server.devices.models import ClaimCode, Device, DeviceToken


def issue(device: Device, code: ClaimCode | None = None) -> dict[str, str]:
    """The device's next credentials, shown this once; keeps a new device, and uses up its code.

    `mqtt_password` is among them where we make identities at the broker, and ends the one before;
    the token before goes on working. Raises `BrokerError`: then no token was issued. The broker is
    asked first, and not in a transaction: nobody is to wait for it with the database in hand.
    """
    password = admit(device)
    with transaction.atomic():
        if device._state.adding:
            device.save()
        if code:
            code.use(device=device)
        told = {"device": str(device.pk), "token": DeviceToken.issue(device)}
    return told | ({"mqtt_password": password} if password else {})


def revoke(device: Device) -> None:
    """Shut a device out by either door, from now on; what waits on it stays there.

    Raises `BrokerError` where the broker could not be told. The server takes nothing of the device
    even so: what comes by the broker is not answered.
    """
    device.revoked_at = device.revoked_at or timezone.now()
    device.save(update_fields=["revoked_at"])
    shut_out(device)
