"""Full and read-only disks are reported, and a kill loses nothing committed."""

import contextlib
import errno
import json
import signal
import subprocess
import sys
import uuid
from pathlib import Path

import pytest

from agent.errors import StoreError
from agent.store.reserve import RESERVE_BYTES, Reserve
from agent.store.store import Store
from tests.agent.disks import fill, small_disk
from tests.agent.documents import document
from tests.agent.store.damage import filled, set_aside

# The disk


def test_a_read_only_store_says_so(path: Path) -> None:
    filled(path)
    for each in path.parent.iterdir():
        each.chmod(0o444)
    assert "read-only" in as_nobody(path, 0o555) or "Permission denied" in as_nobody(path, 0o555)


def test_an_unwritable_directory_says_so(path: Path) -> None:
    path.parent.mkdir()
    assert "Permission denied" in as_nobody(path, 0o555)


def as_nobody(path: Path, mode: int) -> str:
    """What a user without rights hears on opening: root may write everything, so not as root."""
    path.parent.chmod(mode)
    for each in list(path.parents)[1:3]:
        each.chmod(0o755)
    program = (
        "import os, sys; from pathlib import Path\n"
        "from agent.store.store import Store; from agent.errors import StoreError\n"
        "if os.geteuid() == 0: os.setegid(65534); os.seteuid(65534)\n"
        "try:\n    Store(Path(sys.argv[1])).put(__import__('json').loads(sys.argv[2]))\n"
        "except StoreError as error:\n    print(error)\n"
    )
    arguments = [sys.executable, "-c", program, str(path), json.dumps(document(7))]
    done = subprocess.run(arguments, capture_output=True, text=True, timeout=60, check=False)
    return done.stdout


def test_a_full_disk_is_reported_and_loses_nothing_committed(path: Path) -> None:
    documents = filled(path)
    store = Store(path)
    db = store._file._db
    assert db is not None
    pages = db.execute("PRAGMA page_count").fetchone()[0]
    db.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(StoreError, match="the disk is full"):
        store.put(document(7, minutes=["x" * 100_000]))
    assert store.counts()["sessions"] == len(documents)
    store.acknowledge(documents[1]["session_id"], 7)
    assert store.prune(0) == 2
    assert store.put(document(7)), "what was pruned makes room"
    store.close()


def test_no_session_begins_without_reserved_space_for_its_end(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(file: int, offset: int, length: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with contextlib.closing(Store(path)) as earlier:
        earlier.put(running := document(1, state="active"))
    path.with_name("agent.sqlite3.reserve").unlink()
    monkeypatch.setattr("os.posix_fallocate", full)
    store = Store(path)
    with pytest.raises(StoreError, match="the disk is full: no new session"):
        store.put(document(1, state="active"))
    assert store.put(document(2, running["session_id"], state="active")), "what runs goes on"
    assert store.put(document(7)), "what is finished is kept as long as it goes"
    assert store.put(document(1, state="ended")), "however short it was"
    monkeypatch.undo()
    assert store.put(document(1, state="active")), "and once there is room, it begins"
    store.close()


def test_an_empty_reserve_reserves_nothing(path: Path) -> None:
    """A power cut between its making and its allocation leaves a name alone."""
    Store(path).close()
    reserve = path.with_name("agent.sqlite3.reserve")
    reserve.write_bytes(b"")
    store = Store(path)
    assert reserve.stat().st_blocks * 512 >= 1 << 20, "and it is made up for"
    reserve.write_bytes(b"")
    assert store.problem() is None
    assert reserve.stat().st_blocks * 512 >= RESERVE_BYTES
    store.close()


def test_no_session_begins_on_a_full_disk_with_an_empty_reserve(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", "4m") as disk:
        store = Store(disk / "agent.sqlite3")
        (disk / "agent.sqlite3.reserve").write_bytes(b"")
        fill(disk, leaving=RESERVE_BYTES // 2)
        assert store.problem() == "the disk is full"
        with pytest.raises(StoreError, match="the disk is full: no new session"):
            store.put(document(1, state="active"))
        store.close()


def test_the_log_says_when_the_reserve_is_used(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    reserve = Reserve(tmp_path / "agent.sqlite3")
    assert not reserve.use(), "there is none"
    assert reserve.held()
    assert "using the reserved space" not in caplog.text
    assert reserve.use()
    assert caplog.text.count("using the reserved space") == 1
    (tmp_path / "agent.sqlite3.reserve").touch()
    assert not reserve.use(), "an empty one reserves nothing"
    assert caplog.text.count("using the reserved space") == 1


# Kills

WRITER = """
import sys
from pathlib import Path
from agent.store.store import Store
from tests.agent.documents import document
store = Store(Path(sys.argv[1]))
session_id = sys.argv[2]
revision = int(sys.argv[3])
while True:
    revision += 1
    store.put(document(revision, session_id))
    print(revision, flush=True)
"""


def test_everything_committed_before_a_kill_is_there_after_it(path: Path) -> None:
    session_id = document()["session_id"]
    revision = 0
    for round_ in range(6):
        arguments = [sys.executable, "-c", WRITER, str(path), session_id, str(revision)]
        writer = subprocess.Popen(arguments, stdout=subprocess.PIPE)
        assert writer.stdout is not None
        for _ in range(3 + 7 * round_):
            writer.stdout.readline()
        writer.send_signal(signal.SIGKILL)
        said = [int(line) for line in writer.stdout.read().split()]
        writer.wait(10)
        writer.stdout.close()
        store = Store(path)
        assert set_aside(path) == []
        found = store.document(session_id) or {}
        assert found == document(found["revision"], session_id)
        last = max(said, default=revision + 3 + 7 * round_)
        assert found["revision"] in (last, last + 1), "at most the one put that was not yet said"
        revision = found["revision"]
        store.close()


def test_a_device_that_delivers_for_months_needs_no_more_space(path: Path) -> None:
    keep, sizes = 20, []
    with contextlib.closing(Store(path)) as store:
        for number in range(600):
            session = document(7)
            store.put(session)
            store.acknowledge(session["session_id"], 7)
            store.prune(keep)
            store.add_command(
                {"id": str(uuid.uuid4()), "command": "stop", "expires_at": "2099-01-01T00:00:00Z"}
            )
            store.note("delivery", {"ok": True, "at": str(number)})
            if number in (299, 599):  # commands are kept up to a number, too
                sizes.append(sum(each.stat().st_size for each in path.parent.iterdir()))
        assert store.counts()["sessions"] == keep
    assert sizes[1] < 1.02 * sizes[0]
