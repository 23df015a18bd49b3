"""A store, a server's history and a transport by script."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.store.store import Store
from tests.agent.servers import History
from tests.agent.sync.scripted import Clock, Way


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "agent.sqlite3"


@pytest.fixture
def store(path: Path) -> Iterator[Store]:
    opened = Store(path)
    yield opened
    opened.close()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def history() -> History:
    return History()


@pytest.fixture
def way(history: History) -> Way:
    return Way(history)
