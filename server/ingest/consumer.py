"""The MQTT consumer: `blinklog/1/devices/<device>/sessions` -> database -> `.../acks`.

Failure policy. This process never gives up:

    broker unavailable      retry with backoff
    database unavailable    acknowledge nothing; disconnect from the broker, so that devices see
                            that there is no consumer and other consumers get the messages;
                            reconnect when the database answers
    an invalid message      keep it as a dead letter and acknowledge it as rejected
    a message that meets    log it and don't acknowledge it: the device keeps it; process the others
    a bug of this server
    a device above its      ignore the excess messages, without reading or acknowledging them: the
    rate limit              device sends them again; process the others
    this process hangs      systemd's watchdog restarts it

The broker may lose messages that it has accepted (kill -9 after its PUBACK). Only our
acknowledgement, sent after the commit, tells the device that a document is stored; without it, the
device sends again. So clean sessions at the broker and acknowledgements at QoS 0 are enough.
"""

import gc
import json
import logging
import math
import random
import signal
import threading
import time
from collections.abc import Sequence

from django.db import Error, close_old_connections, connection
from gunicorn.systemd import sd_notify

from server.common.disk import WATCH
from server.common.logs import place_of
from server.common.mqtt import (
    SESSIONS,
    STATUS,
    VIEWS,
    BrokerError,
    BrokerSettings,
    Connection,
    Message,
    broker_settings,
)
from server.devices.fair_share import MQTT_AT_ONCE, MQTT_PER_S, FairShare
from server.home_assistant.publishing import HomeAssistant
from server.ingest.batches import devices_of, take
from server.ingest.tallies import Tallies
from server.monitoring.signs import CONSUMER, Heart
from server.reminding.publishing import SettingsPublisher

log = logging.getLogger(__name__)

# Seconds. How long to wait for messages; a stop signal is noticed within this time.
WAIT_S = 1.0
# Backoff with full jitter: the upper limit doubles from FIRST_PAUSE_S, since a broker restarts
# within seconds.
FIRST_PAUSE_S = 1.0
LONGEST_PAUSE_S = 30.0
# Minimum time between two warnings about ignored messages.
WARN_EVERY_S = 60.0
GC_THRESHOLD = 100_000  # objects: about one batch


def run() -> None:
    """Consume until SIGTERM or SIGINT."""
    relax_garbage_collection()
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    sd_notify("READY=1", log)
    Consumer(broker_settings(), stop).run()


def relax_garbage_collection() -> None:
    """Run the garbage collector less often.

    A batch has a hundred thousand objects without reference cycles. Scanning them repeatedly would
    take a quarter of the processing time.
    """
    gc.freeze()
    gc.set_threshold(GC_THRESHOLD)


class Consumer:
    """Receives messages from the broker in batches until `stop` is set."""

    def __init__(
        self,
        broker: BrokerSettings,
        stop: threading.Event,
        longest_pause_s: float = LONGEST_PAUSE_S,
    ) -> None:
        self.broker = broker
        self.stop = stop
        self.longest_pause_s = longest_pause_s
        self._failures = 0
        self._heart = Heart(CONSUMER)
        self._tallies = Tallies()
        self._share = FairShare(MQTT_PER_S, MQTT_AT_ONCE)
        self._ignored = 0
        self._warned_s = -math.inf

    def run(self) -> None:
        """Consume until stopped. See the failure policy above."""
        while not self.stop.is_set():
            _ping_watchdog()
            try:
                self._consume()
            except BrokerError as error:
                log.warning("the broker %s", error)
            except Error as error:
                log.error("the database is unavailable: %s", type(error).__name__)
                connection.close()
            except Exception as error:
                log.error("unexpected error: %s", place_of(error))
            self._pause()
        log.info("stopped")

    def _consume(self) -> None:
        """Connect to the broker and consume until stopped or the connection is lost."""
        close_old_connections()
        connection.ensure_connection()  # don't connect to the broker without a database
        broker = Connection(self.broker)
        try:
            broker.open([SESSIONS, STATUS, VIEWS])
            log.info("consuming from %s:%s", self.broker.host, self.broker.port)
            home = HomeAssistant(broker)
            told = SettingsPublisher(broker)
            home.look_round()
            told.look_round()
            while not self.stop.is_set():
                _ping_watchdog()
                if messages := broker.next_messages(WAIT_S):
                    self._process(broker, messages)
                    if home.shows_any:
                        home.after(devices_of(messages))
                self._failures = 0
                if self._heart.beat():
                    WATCH.state()  # logs when the disk is nearly full
                    self._tallies.keep()
                    home.look_round()
                    told.look_round()
        finally:
            broker.close()

    def _process(self, broker: Connection, messages: Sequence[Message]) -> None:
        """Commit, then answer the devices, then acknowledge to the broker: always in this order."""
        close_old_connections()
        allowed = [
            message
            for message in messages
            if not self._share.take(sender_of(message), len(message.payload))
        ]
        acceptances = take(allowed) if allowed else []
        self._tallies.count(acceptances)
        for message, acceptance in zip(allowed, acceptances, strict=True):
            if acceptance is not None:
                # Answer on the device's own topic and ignore any response topic in the message.
                topic = message.topic.removesuffix("sessions") + "acks"
                payload = json.dumps(acceptance.answer()).encode()
                broker.answer(topic, payload, message.correlation)
        for message in messages:
            broker.acknowledge(message)
        self._warn_of_ignored(len(messages) - len(allowed))

    def _warn_of_ignored(self, ignored: int) -> None:
        """Log the number of ignored messages, at most once a minute so as not to flood the log."""
        self._ignored += ignored
        now_s = time.monotonic()
        if self._ignored and now_s - self._warned_s > WARN_EVERY_S:
            log.warning("ignored %d messages above their device's rate limit", self._ignored)
            self._ignored, self._warned_s = 0, now_s

    def _pause(self) -> None:
        longest = min(self.longest_pause_s, FIRST_PAUSE_S * 2**self._failures)
        self._failures = min(self._failures + 1, 16)
        self.stop.wait(random.uniform(0, longest))


def _ping_watchdog() -> None:
    """Ping systemd's watchdog. Only the main loops do this, so that a hang stops the pings."""
    sd_notify("WATCHDOG=1", log)


def sender_of(message: Message) -> str:
    """Return the topic's prefix, which names the sending device."""
    return message.topic.rpartition("/")[0]
