"""Power is cut before every single change of a file: the device is as it was, or new.

An audit hook of Python's kills the process: it sees every file that is opened for writing, renamed
or removed, every folder, and every program that is started.
"""

import os
import shutil
import sys
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.agent.release.conftest import Device

CHANGES = {"os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.truncate", "subprocess.Popen"}
KILLED = 9


def changes(event: str, arguments: tuple[object, ...]) -> bool:
    if event == "open":
        flags = arguments[2]
        return isinstance(flags, int) and bool(flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT))
    return event in CHANGES


def killed_before(number: int, act: Callable[[], object]) -> bool:
    """Runs `act` in a process that dies before its change `number`; whether it did."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of forks with threads
        child = os.fork()
    if child == 0:
        seen = 0

        def look(event: str, arguments: tuple[object, ...]) -> None:
            nonlocal seen
            if changes(event, arguments):
                seen += 1
                if seen == number:
                    os._exit(KILLED)

        status = 1
        try:
            sys.addaudithook(look)
            act()
            status = 0
        finally:
            os._exit(status)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) in (0, KILLED)
    return os.waitstatus_to_exitcode(status) == KILLED


def at(device: Device, folder: Path) -> Device:
    """The same device with its files in another folder."""
    shutil.copytree(device.folder, folder, symlinks=True)
    copy = object.__new__(Device)
    copy.__dict__.update(device.__dict__)
    copy.folder, copy.key = folder, folder / "etc" / "release-key.pem"
    copy.inbox, copy.office = folder / "state" / "release", folder / "office"
    copy.installer = type(device.installer)(folder)
    copy.installer.statuses = list(device.installer.statuses)
    copy.server = type(device.server)(device.server.content, dict(device.server.wanted or {}))
    copy.restart()
    return copy


@pytest.fixture
def folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cuts")


@pytest.mark.parametrize("statuses", [[0], [3]], ids=["works", "goes back"])
def test_root_is_killed_before_any_change(device, folders, statuses):
    device.installer.statuses = statuses
    device.offer()
    while not (device.inbox / "request.json").exists():
        device.updater.step()
    number = 1
    while True:
        copy = at(device, folders / str(number))
        if not killed_before(number, copy.root().run):
            break
        version = copy.installer.version()
        copy.root().run()  # as at the next start
        assert not (copy.office / "work").exists()
        assert not (copy.inbox / "request.json").exists()
        outcome, now = copy.outcome, copy.installer.version()
        assert outcome is None or outcome.is_over, number
        if version == "0.2.0":
            assert outcome is not None
            assert (outcome.state, now) == ("installed", "0.2.0"), number
        elif outcome is not None and outcome.state == "failed":
            assert (outcome.code, now) == ("interrupted", "0.1.0"), number
        # And what the server wants is reported, or done, without anybody's help.
        over = copy.until_over()
        expected = {"installed", "failed"} if statuses == [0] else {"went_back", "failed"}
        assert over["state"] in expected
        assert (copy.installer.version() == "0.2.0") is (over["state"] == "installed")
        assert not list(copy.inbox.glob("*.tar")) + list(copy.inbox.glob("*.part"))
        shutil.rmtree(copy.folder)
        number += 1
    assert number > 20


def test_sync_is_killed_before_any_change(device, folders):
    device.offer()
    number = 1
    while True:
        copy = at(device, folders / str(number))

        def until_handed_over(copy: Device = copy) -> None:
            while not (copy.inbox / "request.json").exists():
                copy.updater.step()

        if not killed_before(number, until_handed_over):
            break
        copy.restart()
        assert copy.until_over()["state"] == "installed", number
        assert copy.installer.version() == "0.2.0"
        shutil.rmtree(copy.folder)
        number += 1
    assert number > 10
