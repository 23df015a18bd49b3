"""Topics and messages of Home Assistant's MQTT discovery. Pure.

One message describes a whole device (Home Assistant 2024.11 and newer). All its entities read one
state, an object whose keys the templates name. Missing values are null: the template renders them
as "None", which Home Assistant shows as "unknown".
"""

from typing import Any
from uuid import UUID

from django.utils.translation import gettext as _

from server.devices.models import Device

Json = dict[str, Any]

MEASURING, IDLE = "measuring", "idle"
ONLINE, OFFLINE = "online", "offline"


def config_topic(device: UUID) -> str:
    """Return the topic in which Home Assistant looks for a device."""
    return f"homeassistant/device/blinklog-{device}/config"


def home_topic(device: UUID, kind: str) -> str:
    """Return the topic of a kind: `state` or `availability`."""
    return f"blinklog/1/home/{device}/{kind}"


def topics(device: UUID) -> list[str]:
    """Return all topics with retained messages of a device, its announcement first."""
    return [
        config_topic(device),
        home_topic(device, "availability"),
        home_topic(device, "state"),
    ]


def description(device: Device, version: str, page: str) -> Json:
    """Describe a device and its entities, in the active language. `page` is our public URL."""
    name = f"blinklog-{device.pk}"
    origin = {"name": "Blinklog", "sw_version": version}
    return {
        "device": {
            "identifiers": [name],
            "name": device.label,
            "manufacturer": "Blinklog",
            "model": "Blinklog",
            **({"sw_version": device.agent_version} if device.agent_version else {}),
            **({"configuration_url": page} if page else {}),
        },
        "origin": origin | ({"support_url": page} if page else {}),
        "state_topic": home_topic(device.pk, "state"),
        "qos": 1,
        "components": {
            key: {
                "unique_id": f"{name}-{key}",
                "value_template": f"{{{{ value_json.{key} }}}}",
                **entity,
            }
            for key, entity in _entities(device).items()
        },
    }


def _entities(device: Device) -> dict[str, Json]:
    """Return entities by their key in the state. Values stay readable while a device is offline."""
    return {"session": _session(device), **_numbers(), **_times_and_presence()}


def _session(device: Device) -> Json:
    """Whether a session is running: unavailable while the device is offline."""
    return {
        "platform": "sensor",
        "name": _("Session"),
        "device_class": "enum",
        "options": [IDLE, MEASURING],
        "icon": "mdi:eye",
        "availability_topic": home_topic(device.pk, "availability"),
        "payload_available": ONLINE,
        "payload_not_available": OFFLINE,
    }


def _numbers() -> dict[str, Json]:
    """The last session's numbers."""
    number = {"platform": "sensor", "state_class": "measurement"}
    return {
        "blink_rate_per_min": {
            **number,
            "name": _("Blink rate"),
            "unit_of_measurement": _("blinks/min"),
            "icon": "mdi:eye-refresh",
        },
        "ear_mean": {**number, "name": _("Eye aspect ratio"), "icon": "mdi:eye-outline"},
        "perclos_percent": {
            **number,
            "name": _("PERCLOS"),
            "unit_of_measurement": "%",
            "icon": "mdi:eye-closed",
        },
        "coverage_percent": {
            **number,
            "name": _("Coverage"),
            "unit_of_measurement": "%",
            "icon": "mdi:eye-check",
        },
    }


def _times_and_presence() -> dict[str, Json]:
    return {
        "last_session_ended": {
            "platform": "sensor",
            "name": _("Last session ended"),
            "device_class": "timestamp",
        },
        "online": {
            "platform": "binary_sensor",
            "name": _("Device connected"),
            "device_class": "connectivity",
            "entity_category": "diagnostic",
            "payload_on": "on",
            "payload_off": "off",
        },
    }
