"""Settings over MQTT: the broker keeps the newest, and only their device may read them."""

import time
from typing import Any

import pytest
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.reasoncodes import ReasonCode

from agent.errors import DeliveryError
from agent.records import DeviceSettings
from agent.transport.mqtt import MqttTransport
from agent.transport.mqtt_connection import Connection
from tests.agent.servers import Consumer, until
from tests.agent.transport.mqtt_device import ABOUT, DEVICE, OTHER, SOON_S, deliver, to
from tests.broker import Broker, needs_mosquitto

pytestmark = [pytest.mark.needs_broker, needs_mosquitto]


def topic(device: str) -> str:
    return f"blinklog/1/devices/{device}/settings"


def told(version: int, device: str = DEVICE) -> dict[str, Any]:
    return DeviceSettings(version, device, 8.0).as_json()


def received(transport: MqttTransport) -> list[dict[str, Any]]:
    """Whatever arrives until the newest settings are there."""
    found: list[dict[str, Any]] = []

    def look() -> bool:
        transport.commands()
        if (settings := transport.settings()) is not None:
            found.append(settings)
        return bool(found)

    until(look, "settings")
    return found


def test_those_from_before_the_connection_arrive_and_so_do_changes(
    shared: Broker, consumer: Consumer
) -> None:
    consumer.publish(topic(DEVICE), told(1), retain=True).wait_for_publish(5)
    transport = to(shared, ABOUT)
    deliver(transport)
    assert received(transport) == [told(1)]
    assert transport.settings() is None
    consumer.publish(topic(DEVICE), told(2), retain=True)
    assert received(transport) == [told(2)]
    transport.close()


def test_another_devices_never_arrive(shared: Broker, consumer: Consumer) -> None:
    consumer.publish(topic(OTHER), told(3, OTHER), retain=True).wait_for_publish(5)
    transport = to(shared, ABOUT)
    connection = transport._new_connection()
    acks = [f"blinklog/1/devices/{DEVICE}/acks"]
    connection.open(shared.host, shared.port, acks, [topic(OTHER)])
    assert connection.next(time.monotonic() + SOON_S) is None
    connection.close()


def test_a_broker_that_permits_no_settings_is_used_all_the_same() -> None:
    granted = ReasonCode(PacketTypes.SUBACK, "Granted QoS 1")
    refused = ReasonCode(PacketTypes.SUBACK, "Not authorized")
    connection = Connection("a")
    connection._answers.put([granted, refused])
    connection._expect("the subscribe request", 1)
    connection._answers.put([refused, granted])
    with pytest.raises(DeliveryError, match="refuses the subscribe request: Not authorized"):
        connection._expect("the subscribe request", 1)
