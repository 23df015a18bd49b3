"""Two devices with one identity, such as a card and its copy, at a real Mosquitto."""

import contextlib
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from agent.errors import DeliveryError
from agent.store.store import Store
from agent.sync import Backoff, Sync
from agent.transport.base import PERHAPS_SHARED, SHARED_IDENTITY
from agent.transport.mqtt import ENDS, ENDS_LAST_S, ENDS_S, MqttTransport
from tests.agent.documents import document
from tests.agent.servers import History
from tests.agent.sync.scripted import Clock
from tests.agent.transport.mqtt_device import ABOUT, USERS, consuming, deliver, to
from tests.broker import Broker, needs_mosquitto, running_broker
from tests.faults.launcher import until
from tests.faults.proxy import Harm, Proxy

NAMES = ("card", "copy")
TAKEN_OVER = b"\xe0\x01\x8e"  # MQTT 5, section 3.14: DISCONNECT, session taken over

pytestmark = [pytest.mark.needs_broker, needs_mosquitto]


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    (tmp_path / "broker").mkdir()
    with running_broker(tmp_path / "broker", USERS) as running:
        yield running


@pytest.fixture(params=["with a reason", "without a reason"])
def front(request: pytest.FixtureRequest, broker: Broker) -> Iterator["Front"]:
    """The broker, as it closes with MQTT's reason for it, or as Mosquitto 2.0.11 does, without."""
    reason = TAKEN_OVER if request.param == "with a reason" else b""
    with Front(broker.port, farewell=reason) as front:
        yield front


class Front(Proxy):
    """A proxy in front of a broker, which says `farewell` to the client that the broker leaves."""

    host = "127.0.0.1"

    def __init__(self, port: int, farewell: bytes) -> None:
        super().__init__(port)
        self.says = SHARED_IDENTITY if farewell else PERHAPS_SHARED
        self._farewell = farewell

    def _leave(self, line: Any, end: Any) -> None:
        if end is line.far:
            with contextlib.suppress(OSError):
                line.near.sendall(self._farewell)
        super()._leave(line, end)


@pytest.fixture
def device(front: Front, clock: Clock) -> Iterator[MqttTransport]:
    transport = to(front, ABOUT, clock)
    yield transport
    transport.close()


def taken_over(device: MqttTransport, broker: Broker) -> str:
    """Connect `device`, then another with its identity; return what `device` says about it."""
    deliver(device)
    with contextlib.closing(to(broker, ABOUT)) as copy:
        deliver(copy)
        return str(until(lambda: failure(device), "the broker disconnects the first"))


def failure(device: MqttTransport) -> str | None:
    try:
        deliver(device)
    except DeliveryError as error:
        return str(error)
    return None


def test_several_takeovers_within_a_minute_are_named(
    device: MqttTransport, front: Front, broker: Broker, clock: Clock
) -> None:
    for _ in range(ENDS - 1):
        assert "the connection was lost" in taken_over(device, broker)
    assert taken_over(device, broker) == front.says
    clock.now_s += ENDS_LAST_S - 1
    assert taken_over(device, broker) == front.says, "it goes on, if less often"
    clock.now_s += ENDS_LAST_S
    assert "the connection was lost" in taken_over(device, broker)


def test_rare_takeovers_are_not(device: MqttTransport, broker: Broker, clock: Clock) -> None:
    for _ in range(ENDS + 1):
        assert "the connection was lost" in taken_over(device, broker)
        clock.now_s += ENDS_S / (ENDS - 1) + 1


def test_a_refused_password_stays_a_refused_password(broker: Broker) -> None:
    with contextlib.closing(to(broker, ABOUT, password="wrong")) as device:
        for _ in range(ENDS + 1):
            assert "refuses the connect request" in str(failure(device))


def test_a_connection_that_was_never_accepted_says_nothing_about_another_device(
    device: MqttTransport, front: Front
) -> None:
    front.harm = Harm(refuse=True)
    for _ in range(ENDS + 1):
        assert "the broker closed the connection instead of accepting" in str(failure(device))


def test_both_devices_say_so_and_both_deliver(
    broker: Broker, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, "agent.sync")
    history = History()
    with contextlib.ExitStack() as stack:
        stack.enter_context(consuming(broker, history))
        stores = [stack.enter_context(contextlib.closing(Store(tmp_path / name))) for name in NAMES]
        syncs = [stack.enter_context(contextlib.closing(_sync(store, broker))) for store in stores]
        until(lambda: _step(syncs) and all(map(_says_so, stores)), "both say so")
        for name in NAMES:
            with contextlib.closing(Store(tmp_path / name)) as watch:
                watch.put(document(7))
        until(lambda: _step(syncs) and all(map(_sent, stores)), "both deliver")
        assert all(map(_says_so, stores)), "though it works now and then"
    assert len(history.documents) == 2
    logged = [each for each in caplog.records if PERHAPS_SHARED in each.getMessage()]
    assert len(logged) == 2, "once each, not at every takeover"


def _sync(store: Store, broker: Broker) -> Sync:
    return Sync(store, [to(broker, ABOUT)], backoff=lambda: Backoff(draw=lambda _low, _high: 0.05))


def _step(syncs: list[Sync]) -> bool:
    for sync in syncs:
        sync._step()
    return True


def _says_so(store: Store) -> bool:
    return PERHAPS_SHARED in ((store.noted("delivery") or {}).get("problem") or "")


def _sent(store: Store) -> bool:
    return store.counts()["pending"] == 0
