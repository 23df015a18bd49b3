"""Devices' identities at the broker, made and ended through Mosquitto's dynamic-security plugin.

Nobody edits files or reloads a broker: an identity works from the moment it is made, and one that
is ended is cut off at once. The plugin keeps them in a file of its own, written before it answers.
What it is asked and answers is JSON on `$CONTROL/dynamic-security/v1`.

Mosquitto 2.0 fills no %u into the plugin's rules, so each device has a role of its own that names
its topics. What no role names is refused.
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
    BrokerError,
    BrokerSettings,
    admin_settings,
    connected,
    device_topic,
)
from server.devices.models import Device

# What the server shows Home Assistant: see server/home_assistant/discovery.py.
HOME = ("homeassistant/device/+/config", "blinklog/1/home/+/+")

CONTROL = "$CONTROL/dynamic-security/v1"
ANSWERS = f"{CONTROL}/response"
ANSWER_S = 5.0

SEND, RECEIVE = "publishClientSend", "publishClientReceive"
SUBSCRIBE, SUBSCRIBE_PATTERN = "subscribeLiteral", "subscribePattern"

# How the plugin itself keeps a password (PBKDF2 of SHA-512, in so many rounds); those it is meant
# for are long and random.
ROUNDS = 101
SALT_BYTES = 12

Json = dict[str, Any]


def admit(device: Device) -> str | None:
    """Give `device` an identity in place of any it had; its password, which can't be had again.

    A connection that it has is ended. `None` where identities are kept by hand. Raises
    `BrokerError`: then the one it had may be gone, and this is to be done again.
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


def shut_out(device: Device) -> None:
    """End the device's identity, and its connection with it. Raises `BrokerError`."""
    if admin := admin_settings():
        ask(
            admin,
            [
                {"command": "deleteClient", "username": str(device.pk)},
                {"command": "deleteRole", "rolename": _role(device)},
            ],
        )


def _role(device: Device) -> str:
    return f"device-{device.pk}"


# Who may do what


def device_rules(name: str) -> list[Json]:
    """A device writes and reads its own topics."""
    reads = [device_topic(name, "acks"), device_topic(name, "commands")]
    return [
        *_rules(SEND, device_topic(name, "sessions"), device_topic(name, "status")),
        *_rules(SUBSCRIBE, *reads),
        *_rules(RECEIVE, *reads),
    ]


def server_rules() -> list[Json]:
    """The server reads what devices write and answers them, and tells Home Assistant."""
    return [
        *_rules(SUBSCRIBE_PATTERN, SESSIONS, STATUS),
        *_rules(RECEIVE, device_topic("+", "sessions"), STATUS),
        *_rules(SEND, device_topic("+", "acks"), device_topic("+", "commands"), *HOME),
    ]


def admit_home_assistant() -> str | None:
    """Give Home Assistant an identity in place of any it had; its password, shown this once.

    It reads what the server shows it, and nothing of any device. `None` where identities are kept
    by hand. Raises `BrokerError`.
    """
    admin = admin_settings()
    if admin is None:
        return None
    name, password = "home-assistant", secrets.token_urlsafe(32)
    rules = [
        *_rules(SUBSCRIBE_PATTERN, "homeassistant/#", *HOME),
        *_rules(RECEIVE, "homeassistant/#", *HOME),
        *_rules(SEND, "homeassistant/status"),
    ]
    ask(
        admin,
        [
            {"command": "modifyRole", "rolename": "server", "acls": server_rules()},
            {"command": "deleteClient", "username": name},
            {"command": "deleteRole", "rolename": name},
            {"command": "createRole", "rolename": name, "acls": rules},
            {
                "command": "createClient",
                "username": name,
                "password": password,
                "roles": [{"rolename": name}],
            },
        ],
    )
    return password


def first_state(admin: BrokerSettings, server: BrokerSettings) -> Json:
    """The plugin's file as it begins: who administers it, and what the server may do."""
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


# Asking the plugin


def ask(admin: BrokerSettings, commands: Sequence[Json]) -> None:
    """Have the plugin obey `commands`, in their order. To delete what is not there is no error.

    Raises `BrokerError`, with the plugin's reason.
    """
    mark = secrets.token_hex(8)
    marked = [{**command, "correlationData": mark} for command in commands]
    with connected(admin, [ANSWERS]) as line:
        line.publish(CONTROL, json.dumps({"commands": marked}).encode())
        deadline = time.monotonic() + ANSWER_S
        while (left_s := deadline - time.monotonic()) > 0:
            for message in line.next_messages(left_s):
                if (answers := _answers(message.payload, mark)) is not None:
                    return _raise_errors(answers)
    raise BrokerError("did not answer: expected Mosquitto with its dynamic-security plugin")


def _answers(payload: bytes, mark: str) -> list[Json] | None:
    """The plugin's answers if they are ours: another administrator may be asking too."""
    try:
        answers: list[Json] = json.loads(payload)["responses"]
        return answers if answers[0].get("correlationData") == mark else None
    except (ValueError, LookupError, TypeError, AttributeError):
        return None


def _raise_errors(answers: Sequence[Json]) -> None:
    for answer in answers:
        if "error" in answer and not str(answer.get("command")).startswith("delete"):
            raise BrokerError(f"refused {answer.get('command')}: {answer['error']}")
