"""A device at the broker, and a consumer in a thread."""

import contextlib
import json
import os
import queue
import sys
import threading
import time
from pathlib import Path

from django.db import connection
from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from server.common.mqtt import BrokerSettings
from server.ingest.consumer import Consumer

SERVER = "blinklog-server"
PATIENCE_S = 20
BLINK_SERVER = Path(sys.executable).with_name("blink-server")


class Box:
    """A device as the broker sees one."""

    def __init__(self, broker, device):
        self.topic = f"blinklog/1/devices/{device}/"
        self.answers = queue.Queue()
        self.published = queue.Queue()
        self.subscribed = threading.Event()
        self.client = paho.Client(CallbackAPIVersion.VERSION2, protocol=paho.MQTTv5)
        self.client.username_pw_set(str(device), "secret")
        self.client.reconnect_delay_set(0.1, 0.2)
        self.client.on_connect = lambda c, *_: c.subscribe(self.topic + "acks", 1)
        self.client.on_subscribe = lambda *_: self.subscribed.set()
        self.client.on_message = lambda _c, _u, m: self.answers.put(m)
        self.client.on_publish = lambda _c, _u, _m, reason, _p: self.published.put(reason.value)
        self.client._client_id = os.urandom(8).hex().encode()
        self.client.connect(broker.host, broker.port)
        self.client.loop_start()
        assert self.subscribed.wait(PATIENCE_S)

    def send(self, document, kind="sessions", correlation=b"7", response=None, retain=False):
        payload = document if isinstance(document, bytes) else json.dumps(document)
        properties = Properties(PacketTypes.PUBLISH)
        properties.CorrelationData = correlation
        properties.ResponseTopic = response or self.topic + "acks"
        self.client.publish(self.topic + kind, payload, 1, retain, properties)

    def answer(self, timeout=PATIENCE_S):
        message = self.answers.get(timeout=timeout)
        return json.loads(message.payload) | {"correlation": message.properties.CorrelationData}

    def deliver(self, document):
        """As a device does: again, until there is an answer."""
        for _ in range(3 * PATIENCE_S):
            self.send(document)
            with contextlib.suppress(queue.Empty):
                return self.answer(timeout=1)
        raise AssertionError("no answer")

    def close(self):
        self.client.disconnect()
        self.client.loop_stop()


class Running:
    """A consumer in a thread of its own, that tries again at once."""

    def __init__(self, broker, password="secret"):
        settings = BrokerSettings(broker.host, broker.port, None, SERVER, password)
        self.stop = threading.Event()
        self.thread = threading.Thread(target=self._run, args=[Consumer(settings, self.stop, 0.2)])
        self.thread.start()

    def _run(self, it):
        try:
            it.run()
        finally:
            connection.close()

    def end(self):
        self.stop.set()
        self.thread.join(PATIENCE_S)
        assert not self.thread.is_alive()


def until(true, what):
    deadline = time.monotonic() + PATIENCE_S
    while not true():
        assert time.monotonic() < deadline, what
        time.sleep(0.02)


def wait_until_heard(box):
    """Publishing succeeds with another code as long as nobody has subscribed."""

    def heard():
        box.send({"online": True}, kind="status")
        return box.published.get(timeout=PATIENCE_S) == 0

    until(heard, "nobody subscribed")
