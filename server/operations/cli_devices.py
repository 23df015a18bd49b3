"""blink-server's commands about devices, their tokens and their identities at the broker."""

import argparse
import json
from datetime import timedelta
from pathlib import Path

from server.operations.cli_shared import (
    Adder,
    CommandError,
    Options,
    checked,
    device_with,
    person_named,
    tell,
)

LONGEST_MINUTES = 24 * 60  # of a claim code


def create_device(options: Options) -> None:
    """Create a device for a person, with its token and its password at the broker."""
    from server.devices.credentials import issue
    from server.devices.models import Device

    device = checked(Device(person=person_named(options.person), label=options.name))
    tell(options, issue(device), f"created the device {device.label} of {options.person}")


def claim_code(options: Options) -> None:
    """Make a code with which `blink-agent enrol` makes itself a device of a person, once."""
    from django.core.exceptions import ValidationError

    from server.common.codes import grouped
    from server.devices.claim import make_code

    life = timedelta(minutes=options.minutes)
    try:
        made, text = make_code(person_named(options.person), options.label, None, life)
    except ValidationError as error:
        raise CommandError("; ".join(error.messages)) from error
    expires = made.expires_at.isoformat(timespec="seconds")
    told = {"code": text, "label": made.label, "person": options.person, "expires_at": expires}
    tell(options, told, f"{grouped(text)}  until {expires}, for {made.label} of {options.person}")


def rotate_token(options: Options) -> None:
    """Issue a device's next token and password; the last token works until the one after it."""
    from server.devices.credentials import issue

    device = device_with(options.device)
    if device.revoked_at:
        raise CommandError(f"expected a device that may come in; {device.label} is revoked")
    tell(options, issue(device), "the token before this one still works; revoke-token ends it")


def revoke_token(options: Options) -> None:
    """Revoke tokens of a device: those that begin so, or all of them."""
    from server.devices.models import DeviceToken

    live = DeviceToken.live(device_with(options.device))
    if options.prefix:
        live = live.filter(prefix__startswith=options.prefix[:12])
    for token in live:
        token.revoke()
        print(f"revoked {token}")
    if not live:
        raise CommandError("expected a live token to revoke, found none")


def revoke_device(options: Options) -> None:
    """Shut a device out, by either door. What it has measured stays with its person."""
    from server.common.mqtt import BrokerError
    from server.devices.credentials import revoke

    device = device_with(options.device)
    try:
        revoke(device)
    except BrokerError as error:
        told = f"{device.label} is revoked, but the broker {error}: do it again to end its identity"
        raise CommandError(f"{told} there") from error
    print(f"revoked {device.label} ({device.pk})")


def set_up_broker(options: Options) -> None:
    """Write the file that Mosquitto's dynamic-security plugin begins with."""
    from server.common.mqtt import admin_settings, broker_settings
    from server.devices.broker_access import first_state

    admin, server = admin_settings(), broker_settings()
    for name, who in (("BLINKLOG_MQTT_ADMIN", admin), ("BLINKLOG_MQTT", server)):
        if who is None or not who.username or not who.password:
            raise CommandError(f"expected a user in {name}_URL and {name}_PASSWORD_FILE")
    if admin is None or admin.username == server.username:
        raise CommandError("expected two users, one that administers the broker, found one")
    try:
        with options.file.open("x") as file:  # umask: for its owner alone
            json.dump(first_state(admin, server), file, indent=2)
    except OSError as error:
        raise CommandError(f"expected a new file to write: {error}") from error
    print(f"wrote {options.file}: give it to the broker's user, and start the broker")


def devices(options: Options) -> None:
    """List devices, and when each was last heard of."""
    from server.devices.models import Device

    for device in Device.objects.select_related("person"):
        seen = device.last_seen_at.isoformat(timespec="seconds") if device.last_seen_at else None
        told = {
            "device": str(device.pk),
            "name": device.label,
            "user": device.person.username,
            "last_seen_at": seen,
            "revoked": device.revoked_at is not None,
        }
        state = "revoked" if device.revoked_at else f"last seen {seen or 'never'}"
        tell(options, told, f"{device.pk}  {device.label} of {device.person.username}, {state}")


def _minutes(text: str) -> int:
    number = int(text)
    if not 1 <= number <= LONGEST_MINUTES:
        raise argparse.ArgumentTypeError(f"expected 1 to {LONGEST_MINUTES}, found {number}")
    return number


def add_device_commands(command: Adder) -> None:
    """Those about devices and their tokens."""
    device = command(create_device, "create-device")
    device.add_argument("--person", required=True, metavar="NAME", help="whose it is")
    device.add_argument("--name", required=True, metavar="LABEL", help="such as Kitchen")
    device.add_argument("--json", action="store_true")
    code = command(claim_code, "claim-code")
    code.add_argument("--person", required=True, metavar="NAME", help="whose device it will be")
    code.add_argument("--label", required=True, help="such as Kitchen")
    code.add_argument("--minutes", type=_minutes, default=60, help="how long it works (60)")
    code.add_argument("--json", action="store_true")
    rotate = command(rotate_token, "rotate-token")
    rotate.add_argument("device", help="id or name")
    rotate.add_argument("--json", action="store_true")
    revoke = command(revoke_token, "revoke-token")
    revoke.add_argument("device", help="id or name")
    revoke.add_argument("--prefix", help="only those that begin so")
    command(revoke_device, "revoke-device").add_argument("device", help="id or name")
    broker = command(set_up_broker, "set-up-broker")
    broker.add_argument("file", type=Path, help="the plugin's, such as dynamic-security.json")
    command(devices, "devices").add_argument("--json", action="store_true")
