"""A device to enrol and a server to enrol it with."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.agent.enrol.box import CODE, Box, identity
from tests.agent.servers import Api, History, running_api


@pytest.fixture(autouse=True)
def files_are_ones_own() -> Iterator[None]:
    """A file on the boot partition is nobody else's to write, as on every mounted one."""
    before = os.umask(0o022)
    yield
    os.umask(before)


@pytest.fixture
def box(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Box:
    monkeypatch.setenv("BLINKLOG_AGENT_STORE_PATH", str(tmp_path / "state" / "agent.sqlite3"))
    folder = tmp_path / "etc"
    folder.mkdir()

    def say() -> str:
        said = capsys.readouterr()
        return said.out + said.err

    return Box(folder, say)


@pytest.fixture
def api() -> Iterator[Api]:
    with running_api(History()) as running:
        running.codes[CODE] = identity()
        yield running
