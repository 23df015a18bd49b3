"""The broker, the server and the device of the tests."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.transport.mqtt import MqttTransport
from tests.agent.servers import Api, Consumer, History, running_api
from tests.agent.transport.mqtt_device import USERS, consuming, to
from tests.broker import Broker, running_broker


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    with running_broker(tmp_path_factory.mktemp("broker"), USERS) as broker:
        yield broker


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Broker]:
    """One to be killed."""
    with running_broker(tmp_path, USERS) as broker:
        yield broker


@pytest.fixture
def history() -> History:
    return History()


@pytest.fixture
def api(history: History) -> Iterator[Api]:
    with running_api(history) as running:
        yield running


@pytest.fixture
def consumer(shared: Broker, history: History) -> Iterator[Consumer]:
    with consuming(shared, history) as consumer:
        yield consumer


@pytest.fixture
def transport(shared: Broker) -> Iterator[MqttTransport]:
    transport = to(shared)
    yield transport
    transport.close()
