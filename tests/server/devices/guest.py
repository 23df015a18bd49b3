"""Somebody at the broker."""

import os
import queue

from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion

PATIENCE_S = 20


class Guest:
    """Somebody at the broker; `welcome` is what it said to them."""

    def __init__(self, broker, name, password, *, tls=True):
        self.words = queue.Queue()
        self.messages = queue.Queue()
        self.gone = queue.Queue()
        self.client = client = paho.Client(
            CallbackAPIVersion.VERSION2, os.urandom(8).hex(), protocol=paho.MQTTv5,
            reconnect_on_failure=False,
        )  # fmt: skip
        client.username_pw_set(name, password)
        if tls:
            client.tls_set_context(broker.trust())
        client.on_connect = lambda _c, _u, _f, reason, _p: self.words.put(str(reason))
        client.on_subscribe = lambda _c, _u, _m, reasons, _p: self.words.put(str(reasons[0]))
        client.on_publish = lambda _c, _u, _m, reason, _p: self.words.put(str(reason))
        client.on_message = lambda _c, _u, message: self.messages.put(message.topic)
        client.on_disconnect = lambda _c, _u, _f, reason, _p: self.gone.put(str(reason))
        client.connect(broker.host, broker.port)
        client.loop_start()
        self.welcome = self.word() if tls else self.gone.get(timeout=PATIENCE_S)

    def word(self):
        return self.words.get(timeout=PATIENCE_S)

    def subscribe(self, topic):
        self.client.subscribe(topic, 1)
        return self.word()

    def publish(self, topic):
        self.client.publish(topic, b"{}", 1)
        return self.word()

    def leave(self):
        self.client.disconnect()
        self.client.loop_stop()
