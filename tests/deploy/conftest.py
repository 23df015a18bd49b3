"""Machines of their own, and what is carried to them."""

import signal
from pathlib import Path

import pytest

from tests.deploy import machine
from tests.faces import model_cache

__all__ = ["model_cache"]

# Below nohup it is ignored, also by the machines' terminals that go away.
signal.signal(signal.SIGHUP, signal.SIG_DFL)


@pytest.fixture(scope="module")
def stick(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What is carried to the machine: seen there as /run/share."""
    return tmp_path_factory.mktemp("stick")


@pytest.fixture(scope="module")
def needs_machine() -> None:
    """Skips where there can be none."""
    if reason := machine.missing():
        pytest.skip(reason)
