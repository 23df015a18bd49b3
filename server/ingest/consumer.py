"""The MQTT door: `blinklog/1/devices/<device>/sessions` -> database -> `.../acks`.

Failure policy. This process never gives up:

    the broker is away      try again, with a backoff
    the database is away    nothing is acknowledged, to nobody; leave the broker, so that devices
                            learn that nobody listens and messages go to another consumer; come back
                            when the database answers
    one message is poison   it is kept as a dead letter and answered as rejected
    one message shows a     it is logged and not answered: its device keeps it; the others go on
    fault of ours
    one device floods us    what is beyond its share is passed over, unread and not answered: its
                            device sends it again; the others go on
    something hangs         systemd's watchdog ends this process and starts it anew

The broker may lose what it took (kill -9 after its PUBACK): only our answer, after the commit,
tells the device that it is done, and without it the device sends again. So sessions at the broker
are clean and answers go out at QoS 0.
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

from django.db import DataError, Error, IntegrityError, close_old_connections, connection
from gunicorn.systemd import sd_notify

from server.common.logs import place_of
from server.common.mqtt import (
    SESSIONS,
    STATUS,
    BrokerError,
    BrokerSettings,
    Connection,
    Message,
    broker_settings,
)
from server.devices.fair_share import MQTT_AT_ONCE, MQTT_PER_S, FairShare
from server.home_assistant.publishing import HomeAssistant
from server.ingest.batches import devices_of, refuse, take
from server.ingest.tallies import Tallies
from server.monitoring.signs import CONSUMER, Heart
from server.session_data.accept import Acceptance

log = logging.getLogger(__name__)

# Seconds. How soon a signal to stop is seen.
WAIT_S = 1.0
# Full jitter up to this, doubled from FIRST_PAUSE_S: a restart takes a broker seconds.
FIRST_PAUSE_S = 1.0
LONGEST_PAUSE_S = 30.0
TELL_S = 60.0
BETWEEN_COLLECTIONS = 100_000  # objects: about a batch's


def run() -> None:
    """Consume until SIGTERM or SIGINT."""
    keep_garbage_small()
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    sd_notify("READY=1", log)
    Consumer(broker_settings(), stop).run()


def keep_garbage_small() -> None:
    """A batch is a hundred thousand objects without a cycle among them, which Python would look
    through again and again: a quarter of the time."""
    gc.freeze()
    gc.set_threshold(BETWEEN_COLLECTIONS)


class Consumer:
    """Takes messages from the broker, in batches of what has come, until `stop` is set."""

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
        self._passed_over = 0
        self._told_s = -math.inf

    def run(self) -> None:
        """See the failure policy above."""
        while not self.stop.is_set():
            _alive()
            try:
                self._consume()
            except BrokerError as error:
                log.warning("the broker %s", error)
            except Error as error:
                log.error("the database is away: %s", type(error).__name__)
                connection.close()
            except Exception as error:
                log.error("a fault of ours: %s", place_of(error))
            self._pause()
        log.info("stopped")

    def _consume(self) -> None:
        """One connection, from beginning to end."""
        close_old_connections()
        connection.ensure_connection()  # without a database there is nothing to take messages for
        line = Connection(self.broker)
        try:
            line.open([SESSIONS, STATUS])
            log.info("consuming from %s:%s", self.broker.host, self.broker.port)
            home = HomeAssistant(line)
            home.look_round()
            while not self.stop.is_set():
                _alive()
                if messages := line.next_messages(WAIT_S):
                    self._deal_with(line, messages)
                    if home.shows_any:
                        home.after(devices_of(messages))
                self._failures = 0
                if self._heart.beat():
                    self._tallies.keep()
                    home.look_round()
        finally:
            line.close()

    def _deal_with(self, line: Connection, messages: Sequence[Message]) -> None:
        """Commit, then answer, then acknowledge: never in another order."""
        close_old_connections()
        fair = [
            message
            for message in messages
            if not self._share.take(sender_of(message), len(message.payload))
        ]
        acceptances = stored(fair) if fair else []
        self._tallies.count(acceptances)
        for message, acceptance in zip(fair, acceptances, strict=True):
            if acceptance is not None:
                # The device's own topic, whatever response topic the message asks for.
                topic = message.topic.removesuffix("sessions") + "acks"
                payload = json.dumps(acceptance.answer()).encode()
                line.answer(topic, payload, message.correlation)
        for message in messages:
            line.acknowledge(message)
        self._tell(len(messages) - len(fair))

    def _tell(self, passed_over: int) -> None:
        """Say now and then how much was passed over: a flood of messages is not one of the log."""
        self._passed_over += passed_over
        now_s = time.monotonic()
        if self._passed_over and now_s - self._told_s > TELL_S:
            log.warning("%d messages were beyond their device's share", self._passed_over)
            self._passed_over, self._told_s = 0, now_s

    def _pause(self) -> None:
        longest = min(self.longest_pause_s, FIRST_PAUSE_S * 2**self._failures)
        self._failures = min(self._failures + 1, 16)
        self.stop.wait(random.uniform(0, longest))


def _alive() -> None:
    """Feeds systemd's watchdog: from the loop alone, so that what hangs is ended."""
    sd_notify("WATCHDOG=1", log)


def sender_of(message: Message) -> str:
    """Whose topic it came by."""
    return message.topic.rpartition("/")[0]


def stored(messages: Sequence[Message]) -> list[Acceptance | None]:
    """`take`, and where one message spoils the batch, each by itself. Raises while the database
    is away."""
    try:
        return take(messages)
    except (DataError, IntegrityError) as error:
        if len(messages) == 1:
            log.error("the database refused a document: %s", type(error).__name__)
            return [refuse(messages[0], "the database can't store this document")]
    except Error:
        raise
    except Exception as error:
        if len(messages) == 1:
            log.error("a fault of ours, with one message: %s", place_of(error))
            return [None]
    return [answer for message in messages for answer in stored([message])]
