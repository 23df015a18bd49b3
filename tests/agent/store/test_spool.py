"""A document that is set down beside the store is taken in once, whatever happens in between."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from agent.errors import StoreBusyError, StoreError
from agent.store.store import Store
from tests.agent.disks import fill, small_disk
from tests.agent.documents import document, ids
from tests.agent.store.locks import locked


def beside(path: Path) -> list[str]:
    """The names of the files of documents beside the store."""
    return [each.name for each in path.parent.iterdir() if ".json" in each.name]


def test_a_locked_store_is_named_and_waited_for_as_long_as_asked(path: Path) -> None:
    store = Store(path, wait_s=0.2)
    with locked(path):
        begun_s = time.monotonic()
        with pytest.raises(StoreBusyError, match="locked by another process"):
            store.put(document(7))
        assert 0.2 <= time.monotonic() - begun_s < 5
    assert store.put(document(7))
    store.close()


def test_a_document_is_set_down_while_the_store_is_locked_and_taken_in_after_it(
    path: Path,
) -> None:
    store = Store(path, wait_s=0.1)
    final = document(7)
    with locked(path):
        assert store.spool(final)
        with pytest.raises(StoreBusyError):
            store.take_in()
        (name,) = beside(path)
        assert path.with_name(name).stat().st_mode & 0o777 == 0o600
    assert store.take_in() == 1
    assert store.pending(9) == [final]
    assert (beside(path), store.take_in()) == ([], 0)
    store.close()


def test_the_revision_rule_holds_for_what_is_taken_in(path: Path, store: Store) -> None:
    ahead, behind, twice = document(7), document(7), document(7)
    store.put(document(3, ahead["session_id"], state="active"))
    store.put(document(3, behind["session_id"]))
    for each in (ahead, behind, document(5, twice["session_id"]), twice):
        assert store.spool(each)
    store.put(newer := document(9, behind["session_id"]))
    assert store.take_in() == 3, "one file a session"
    found = {each.session_id: each.document for each in store.newest()}
    assert found == {each["session_id"]: each for each in (ahead, newer, twice)}
    for revision in (6, 7):
        older = document(revision, ahead["session_id"])
        assert not store.spool(older), "the store has it, or a newer one"
    assert beside(path) == []


KILLED = """
import os, signal, sys
from pathlib import Path
from agent.store import store as store_file
def die(*_, **__): os.kill(os.getpid(), signal.SIGKILL)
store = store_file.Store(Path(sys.argv[1]))
if sys.argv[2] == "before":
    store._file.run = die
else:
    Path.unlink = die
store.take_in()
"""


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_kill_while_it_is_taken_in_neither_loses_nor_doubles_it(path: Path, when: str) -> None:
    """Before the store has it, and after that, before its file is deleted."""
    store = Store(path)
    store.put(document(3, (final := document(7))["session_id"], state="active"))
    store.spool(final)
    store.close()
    done = subprocess.run([sys.executable, "-c", KILLED, str(path), when], check=False, timeout=60)
    assert done.returncode == -signal.SIGKILL
    assert len(beside(path)) == 1
    store = Store(path)
    assert store.take_in() == 1
    assert [each.document for each in store.newest()] == [final]
    assert store.acknowledge(final["session_id"], 7)
    assert (store.take_in(), store.pending(9)) == (0, [])
    store.close()


def test_a_file_that_is_damaged_is_never_delivered_and_kept_for_inspection(
    path: Path, store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(3):
        store.spool(document(7))
    good, altered, cut = (path.with_name(each) for each in sorted(beside(path)))
    content = json.loads(altered.read_text())
    content["document"] = content["document"].replace('"blink_count":', '"blink_count":1')
    altered.write_text(json.dumps(content))
    cut.write_bytes(cut.read_bytes()[:100])
    assert store.take_in() == 1
    assert len(store.pending(9)) == 1
    assert sorted(beside(path)) == [altered.name + ".damaged", cut.name + ".damaged"]
    assert caplog.text.count("is damaged") == 2
    assert not good.exists()


def test_a_full_disk_is_reported_and_leaves_no_half_file(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", "4m") as disk:
        store = Store(disk / "agent.sqlite3")
        fill(disk, leaving=0)
        with pytest.raises(StoreError, match="No space left"):
            store.spool(document(7, note="x" * 100_000))
        assert [each for each in disk.iterdir() if ".json" in each.name] == []
        store.close()


def test_what_a_power_cut_left_half_written_is_ignored_and_cleared(
    path: Path, store: Store
) -> None:
    store.spool(final := document(7))
    (name,) = beside(path)
    path.with_name(f".{name[:-5]}.4242.json").write_text('{"docu')
    assert store.take_in() == 1
    assert ids(store.pending(9)) == [final["session_id"]]
    assert beside(path) == []
