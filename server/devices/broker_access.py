"""Devices' accounts at the broker, managed through Mosquitto's dynamic-security plugin.

The broker needs no reload: a new account works immediately, and deleting one closes its
connections. The plugin stores the accounts in a file of its own before it answers. Requests and
responses are JSON on `$CONTROL/dynamic-security/v1`.

Mosquitto 2.0 doesn't substitute %u in the plugin's rules, so each device has a role of its own that
names its topics. Access that no role grants is denied.
"""

import base64
import hashlib
import json
import secrets
import time
from collections.abc import Sequence
from typing import Any

from server.common.mqtt import (
    SESSIONS,
    STATUS,
    VIEWS,
    BrokerError,
    BrokerSettings,
    admin_settings,
    broker_settings,
    connected,
    device_topic,
)
from server.devices.models import Device

# The topics that the server publishes for Home Assistant: see server/home_assistant/discovery.py.
HOME = ("homeassistant/device/+/config", "blinklog/1/home/+/+")

CONTROL = "$CONTROL/dynamic-security/v1"
ANSWERS = f"{CONTROL}/response"
ANSWER_S = 5.0

SEND, RECEIVE = "publishClientSend", "publishClientReceive"
SUBSCRIBE, SUBSCRIBE_PATTERN = "subscribeLiteral", "subscribePattern"

# The plugin's own password hash: PBKDF2 with SHA-512 and this many rounds. So few are enough,
# because our passwords are long and random.
ROUNDS = 101
SALT_BYTES = 12

Json = dict[str, Any]


def create_broker_account(device: Device) -> str | None:
    """Create or replace the device's broker account; return its password.

    The password can't be recovered later. Replacing an account closes its connections. Returns
    `None` if the server doesn't manage accounts. Raises `BrokerError`; the old account may then be
    deleted already: call it again.
    """
    admin = admin_settings()
    if admin is None:
        return None
    name, role, password = str(device.pk), _role(device), secrets.token_urlsafe(32)
    ask(
        admin,
        [
            {"command": "deleteClient", "username": name},
            {"command": "deleteRole", "rolename": role},
            {"command": "createRole", "rolename": role, "acls": device_rules(name)},
            {
                "command": "createClient",
                "username": name,
                "password": password,
                "textname": device.label,
                "roles": [{"rolename": role}],
            },
        ],
    )
    return password


def delete_broker_account(device: Device) -> None:
    """Delete the device's broker account, which closes its connection. Raises `BrokerError`."""
    if admin := admin_settings():
        ask(
            admin,
            [
                {"command": "deleteClient", "username": str(device.pk)},
                {"command": "deleteRole", "rolename": _role(device)},
            ],
        )


def forget_settings(device: Device) -> None:
    """Delete the settings that the broker retains for the device. Raises `BrokerError`."""
    if admin_settings() is not None:
        with connected(broker_settings()) as connection:
            connection.publish(device_topic(device.pk, "settings"), b"", retain=True)


def _role(device: Device) -> str:
    return f"device-{device.pk}"


# Access rules


def device_rules(name: str) -> list[Json]:
    """Return the access rules of a device: it may only use its own topics."""
    reads = [device_topic(name, kind) for kind in ("acks", "commands", "settings")]
    writes = [device_topic(name, kind) for kind in ("sessions", "status", "aim")]
    return [
        *_rules(SEND, *writes),
        *_rules(SUBSCRIBE, *reads),
        *_rules(RECEIVE, *reads),
    ]


def server_rules() -> list[Json]:
    """Return the server's access rules: read from devices, write to them and to Home Assistant."""
    writes = [device_topic("+", kind) for kind in ("acks", "commands", "settings")]
    return [
        *_rules(SUBSCRIBE_PATTERN, SESSIONS, STATUS, VIEWS),
        *_rules(RECEIVE, device_topic("+", "sessions"), STATUS, device_topic("+", "aim")),
        *_rules(SEND, *writes, *HOME),
    ]


def admit_home_assistant() -> str | None:
    """Create or replace Home Assistant's broker account; return its password.

    The account can read what the server publishes for Home Assistant, but no device topics.
    Returns `None` if the server doesn't manage accounts. Raises `BrokerError`.
    """
    admin = admin_settings()
    if admin is None:
        return None
    password = secrets.token_urlsafe(32)
    update_server = {"command": "modifyRole", "rolename": "server", "acls": server_rules()}
    ask(admin, [update_server, *_replace_home_assistant("home-assistant", password)])
    return password


def _replace_home_assistant(name: str, password: str) -> list[Json]:
    """Return the commands that replace Home Assistant's account and role."""
    rules = [
        *_rules(SUBSCRIBE_PATTERN, "homeassistant/#", *HOME),
        *_rules(RECEIVE, "homeassistant/#", *HOME),
        *_rules(SEND, "homeassistant/status"),
    ]
    roles = [{"rolename": name}]
    return [
        {"command": "deleteClient", "username": name},
        {"command": "deleteRole", "rolename": name},
        {"command": "createRole", "rolename": name, "acls": rules},
        {"command": "createClient", "username": name, "password": password, "roles": roles},
    ]


def first_state(admin: BrokerSettings, server: BrokerSettings) -> Json:
    """Return the plugin's initial file: the admin's and the server's accounts and roles."""
    control = f"{CONTROL}/#"
    roles = {
        "admin": [
            *_rules(SEND, control),
            *_rules(SUBSCRIBE_PATTERN, control),
            *_rules(RECEIVE, control),
        ],
        "server": server_rules(),
    }
    return {
        "defaultACLAccess": {SEND: False, RECEIVE: False, "subscribe": False, "unsubscribe": True},
        "clients": [_client(admin, "admin"), _client(server, "server")],
        "groups": [],
        "roles": [{"rolename": name, "acls": rules} for name, rules in roles.items()],
    }


def _rules(kind: str, *topics: str) -> list[Json]:
    return [{"acltype": kind, "topic": topic, "priority": 0, "allow": True} for topic in topics]


def _client(who: BrokerSettings, role: str) -> Json:
    salt = secrets.token_bytes(SALT_BYTES)
    password = hashlib.pbkdf2_hmac("sha512", (who.password or "").encode(), salt, ROUNDS)
    return {
        "username": who.username,
        "password": base64.b64encode(password).decode(),
        "salt": base64.b64encode(salt).decode(),
        "iterations": ROUNDS,
        "roles": [{"rolename": role}],
    }


# Requests to the plugin


def ask(admin: BrokerSettings, commands: Sequence[Json]) -> None:
    """Have the plugin run `commands` in order. Deleting something that doesn't exist is no error.

    Raises `BrokerError` with the plugin's reason.
    """
    mark = secrets.token_hex(8)
    marked = [{**command, "correlationData": mark} for command in commands]
    with connected(admin, [ANSWERS]) as connection:
        connection.publish(CONTROL, json.dumps({"commands": marked}).encode())
        deadline = time.monotonic() + ANSWER_S
        while (left_s := deadline - time.monotonic()) > 0:
            for message in connection.next_messages(left_s):
                if (answers := _answers(message.payload, mark)) is not None:
                    return _raise_errors(answers)
    raise BrokerError("did not answer: expected Mosquitto with its dynamic-security plugin")


def _answers(payload: bytes, mark: str) -> list[Json] | None:
    """Return the plugin's responses if they are to our request; others may use the plugin too."""
    try:
        answers: list[Json] = json.loads(payload)["responses"]
        return answers if answers[0].get("correlationData") == mark else None
    except (ValueError, LookupError, TypeError, AttributeError):
        return None


def _raise_errors(answers: Sequence[Json]) -> None:
    for answer in answers:
        if "error" in answer and not str(answer.get("command")).startswith("delete"):
            raise BrokerError(f"refused {answer.get('command')}: {answer['error']}")
