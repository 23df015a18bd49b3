"""A film and the time in which it is replayed."""

from pathlib import Path

import pytest

from tests.agent.camera.films import Clock, write


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("film") / "film.avi")


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr("agent.camera.replay.time", clock)
    return clock
