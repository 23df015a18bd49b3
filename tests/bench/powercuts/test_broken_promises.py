"""A product that does not wait for the disk is caught: the cuts can fail."""

import os
import shutil
import stat
from pathlib import Path
from typing import Any

import pytest

from agent import files
from agent.store import file as store_file
from agent.store import swap
from agent.store.database import Database
from bench.powercuts import with_installer
from bench.powercuts.part import Tally, run
from bench.powercuts.recording import unavailable
from bench.powercuts.with_damage import DamagedStore
from bench.powercuts.with_device_store import DeviceStore
from bench.powercuts.with_enrolment import Enrolment
from bench.powercuts.with_installer import Installer
from bench.powercuts.with_server import Server
from server.config import settings as server_settings

pytestmark = [
    pytest.mark.skipif(unavailable() is not None, reason=unavailable() or ""),
    pytest.mark.timeout(600),
]

SEED = "of the tests"


def broken(make: Any, cuts: int = 60) -> Tally:
    return run(make, cuts, 30, SEED)


def test_commits_that_do_not_wait_for_the_disk_lose_sessions(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    durable = store_file._make_durable

    def off(db: Database) -> None:
        durable(db)
        db.execute("PRAGMA synchronous = OFF")

    monkeypatch.setattr(store_file, "_make_durable", off)
    tally = broken(DeviceStore)
    assert tally.lost
    assert tally.could_not_open


def test_a_wal_that_is_not_synced_at_each_commit_loses_sessions(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    durable = store_file._make_durable

    def normal(db: Database) -> None:
        durable(db)
        db.execute("PRAGMA synchronous = NORMAL")

    monkeypatch.setattr(store_file, "_make_durable", normal)
    tally = broken(DeviceStore)
    assert tally.lost
    assert not tally.could_not_open


def test_the_servers_commits_have_to_wait_for_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    off = server_settings.SQLITE_OPTIONS["init_command"].replace("FULL", "OFF")
    from django.db import connection

    monkeypatch.setitem(connection.settings_dict["OPTIONS"], "init_command", off)
    assert broken(Server).lost


def test_a_rename_needs_an_fsync_of_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    only_of(monkeypatch, stat.S_ISDIR)
    assert broken(Enrolment).wrong


def test_a_rename_needs_an_fsync_of_the_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    only_of(monkeypatch, stat.S_ISREG)
    assert broken(Enrolment, 120).lost


def only_of(monkeypatch: pytest.MonkeyPatch, kept: Any) -> None:
    """Have `agent.files` fsync only files, or only folders."""
    fsync = os.fsync

    def some(number: int) -> None:
        if kept(os.fstat(number).st_mode):
            fsync(number)

    monkeypatch.setattr(files.os, "fsync", some)


def test_a_rescue_has_to_find_the_wal_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_file, "undo_swap", lambda path: None)
    monkeypatch.setattr(swap, "sync_path", lambda folder: None)
    assert broken(DamagedStore, 200).lost


def test_the_installer_has_to_sync_each_step(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    deploy = shutil.copytree(with_installer.DEPLOY, tmp_path / "deploy")
    for script in deploy.glob("*.sh"):
        lines = script.read_text().splitlines(keepends=True)
        kept = [line if not line.strip().startswith("sync -f") else "true\n" for line in lines]
        script.write_text("".join(kept))
    monkeypatch.setattr(with_installer, "DEPLOY", deploy)
    tally = broken(Installer)
    assert tally.lost or tally.wrong or tally.could_not_open
