"""A damaged store is set aside and replaced, and what can be read of it moves to the new one."""

import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from agent.store.aside import SET_ASIDE_KEPT
from agent.store.store import Store
from tests.agent.documents import document, ids
from tests.agent.store.damage import (
    cut_within_a_page,
    damage_page,
    emptied,
    filled,
    garbage,
    set_aside,
    without_its_header,
    zeroed,
)


@pytest.mark.parametrize(
    "damage", [garbage, zeroed, emptied, cut_within_a_page, without_its_header]
)
def test_a_damaged_store_is_set_aside_and_replaced(path: Path, damage: Any) -> None:
    filled(path)
    damage(path)
    store = Store(path)
    (aside,) = set_aside(path)
    assert datetime.now(UTC).strftime("%Y%m%d") in aside.name
    assert store.noted("store")["set_aside"] == aside.name
    assert store.put(document(1))
    store.close()
    again = Store(path)
    assert set_aside(path) == [aside], "one damage is one new store, not one at every start"
    assert again.counts()["sessions"] >= 1
    again.close()


def test_readable_sessions_of_a_damaged_store_move_to_the_new_one(path: Path) -> None:
    documents = filled(path, 60)
    damage_page(path, share=0.5)
    store = Store(path)
    assert len(set_aside(path)) == 1
    saved = store.counts()["sessions"]
    assert 60 > saved >= 50
    assert store.noted("store")["sessions_saved"] == saved
    known = {each["session_id"]: each for each in documents}
    assert documents[0]["session_id"] not in ids(store.pending(99)), "the server has it"
    assert store.counts()["pending"] == saved - 1
    assert all(each.document == known[each.session_id] for each in store.sessions(99))
    assert ids(store.pending(99)) == [each for each in known if store.document(each)][1:], (
        "in order"
    )
    store.close()


def test_a_truncated_store_yields_the_sessions_before_the_cut(path: Path) -> None:
    filled(path, 60)
    os.truncate(path, path.stat().st_size // 2)
    store = Store(path)
    assert 10 < store.counts()["sessions"] < 60
    store.close()


@pytest.mark.parametrize("damage", [emptied, zeroed, garbage])
def test_everything_is_recovered_from_the_wal_alone(path: Path, damage: Any) -> None:
    """A power cut right after the first sessions: all that was committed is in the WAL."""
    writer = Store(path)
    committed = [document(7) for _ in range(5)]
    for each in committed:
        writer.put(each)
    copy = path.with_name("copy.sqlite3")
    copy.write_bytes(path.read_bytes())
    path.with_name("copy.sqlite3-wal").write_bytes(path.with_name("agent.sqlite3-wal").read_bytes())
    writer.close()
    damage(copy)
    store = Store(copy)
    # The pages of the tables that the WAL has are whole; the schema lies in the main file alone.
    found = ids(store.pending(9))
    assert found == ids(committed)
    store.close()


def test_a_missing_wal_loses_only_its_own_content(path: Path) -> None:
    before = filled(path, 5)
    writer = Store(path)
    writer.put(document(7))
    copy = path.with_name("copy.sqlite3")
    copy.write_bytes(path.read_bytes())
    writer.close()
    store = Store(copy)
    assert [each.session_id for each in store.sessions(9)] == ids(before)[::-1]
    store.close()


def test_damage_found_during_a_transaction_loses_neither_it_nor_the_process(
    path: Path,
) -> None:
    filled(path, 60)
    store = Store(path)
    damage_page(path, share=0.9)
    final = document(9)
    for _ in range(3):  # SQLite still has some pages in memory
        store.put(final)
        store.sessions(99)
    assert store.document(final["session_id"]) == final
    assert store.put(document(7))
    store.close()


def test_other_users_of_a_damaged_store_switch_to_the_new_one(path: Path) -> None:
    filled(path)
    watch = Store(path)
    watch.put(document(7))
    version = watch.data_version()
    zeroed(path)
    sync = Store(path)
    (aside,) = set_aside(path)
    assert aside.with_name(aside.name + "-wal").exists()
    assert watch.put(final := document(7))
    assert sync.document(final["session_id"]) == final
    assert watch.data_version() != version
    watch.close()
    assert sync.put(document(7)), "closing the old one must not take the new one's WAL away"
    sync.close()
    again = Store(path)
    assert again.document(final["session_id"]) == final
    assert set_aside(path) == [aside]
    again.close()


def test_finding_the_damage_second_does_not_set_the_new_store_aside(path: Path) -> None:
    filled(path)
    second = Store(path)
    zeroed(path)
    first = Store(path)
    first.put(final := document(7))
    second._file._replace("what the first has met")
    assert second.document(final["session_id"]) == final
    assert len(set_aside(path)) == 1
    first.close()
    second.close()


def test_two_processes_that_find_the_damage_together_set_it_aside_once(path: Path) -> None:
    filled(path)
    damage_page(path, share=0.5)
    program = (
        "import sys; from pathlib import Path; from agent.store.store import Store\n"
        "s = Store(Path(sys.argv[1])); print(s.counts()['sessions'])"
    )
    both = [
        subprocess.Popen([sys.executable, "-c", program, str(path)], stdout=subprocess.PIPE)
        for _ in range(3)
    ]
    answers = [int(each.communicate(timeout=60)[0]) for each in both]
    assert len(set(answers)) == 1
    assert len(set_aside(path)) == 1


def test_a_replacement_interrupted_by_a_power_cut_is_repeated(path: Path) -> None:
    filled(path)
    zeroed(path)
    path.with_name("agent.sqlite3.new").write_bytes(b"half a database")
    path.with_name("agent.sqlite3.new-journal").write_bytes(b"of another try")
    store = Store(path)
    assert store.put(document(7))
    assert len(set_aside(path)) == 1
    store.close()


def test_set_aside_stores_do_not_fill_the_disk(path: Path) -> None:
    for _ in range(SET_ASIDE_KEPT + 2):
        filled(path, 1)
        zeroed(path)
        Store(path).close()
    assert len(set_aside(path)) == SET_ASIDE_KEPT
