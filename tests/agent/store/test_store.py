"""The store follows the revision rule and survives kills, damage and full disks."""

import contextlib
import errno
import json
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import tracemalloc
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from agent.errors import StoreError
from agent.store.file import SET_ASIDE_KEPT
from agent.store.store import COMMANDS_KEPT, MIGRATIONS, Store
from tests.agent.documents import document

NOW = datetime(2026, 11, 22, 10, 0, tzinfo=UTC)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "agent.sqlite3"


@pytest.fixture
def store(path: Path) -> Iterator[Store]:
    opened = Store(path)
    yield opened
    opened.close()


def ids(documents: list[dict[str, Any]]) -> list[str]:
    return [each["session_id"] for each in documents]


# The revision rule


def test_a_document_comes_back_as_it_was_put(store: Store) -> None:
    final = document(7, note="Umlaute: äöü, 目")
    assert store.put(final)
    assert store.document(final["session_id"]) == final
    assert store.document("unknown") is None


def test_a_higher_revision_replaces_a_lower_one(store: Store) -> None:
    first = document(1)
    store.put(first)
    assert store.put(document(7, first["session_id"]))
    assert [each["revision"] for each in store.pending(10)] == [7]


@pytest.mark.parametrize("late", [1, 6, 7])
def test_a_late_lower_or_equal_revision_changes_nothing(store: Store, late: int) -> None:
    final = document(7)
    store.put(final)
    assert not store.put(document(late, final["session_id"], camera=None))
    assert store.document(final["session_id"]) == final


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("session_id", 5, "expected a text, found 5"),
        ("session_id", "", "expected a text, found ''"),
        ("revision", 0, "expected a whole number from 1, found 0"),
        ("revision", True, "expected a whole number from 1, found True"),
        ("revision", "7", "expected a whole number from 1, found '7'"),
        ("state", "paused", "expected one of active, ended, interrupted, found 'paused'"),
        ("metrics", float("nan"), "not JSON compliant"),
    ],
)
def test_an_invalid_document_is_refused(store: Store, key: str, value: Any, expected: str) -> None:
    with pytest.raises(ValueError, match=expected):
        store.put({**document(7), key: value})
    assert store.counts()["sessions"] == 0


class RevisionRule(RuleBasedStateMachine):
    """The store against a dictionary: session -> (document, acked revision, parked)."""

    sessions = st.sampled_from(["a", "b", "c"])
    revisions = st.integers(1, 5)

    @initialize()
    def begin(self) -> None:
        self.store = Store(self.path)
        self.model: dict[str, tuple[dict[str, Any], int, bool]] = {}

    def __init__(self) -> None:
        super().__init__()
        import tempfile

        self.directory = tempfile.TemporaryDirectory()
        self.path = Path(self.directory.name) / "agent.sqlite3"

    @rule(session=sessions, revision=revisions, state=st.sampled_from(["active", "ended"]))
    def put(self, session: str, revision: int, state: str) -> None:
        put = {"session_id": session, "revision": revision, "state": state}
        known, acked, _ = self.model.get(session, ({"revision": 0}, 0, False))
        higher = revision > known["revision"]
        assert self.store.put(put) == higher
        if higher:
            self.model[session] = (put, acked, False)

    @rule(session=sessions, revision=revisions)
    def acknowledge(self, session: str, revision: int) -> None:
        known, acked, parked = self.model.get(session, ({"revision": 0}, 0, False))
        news = acked < revision <= known["revision"]
        assert self.store.acknowledge(session, revision) == news
        if news:
            self.model[session] = (known, revision, parked and revision < known["revision"])

    @rule(session=sessions, revision=revisions)
    def park(self, session: str, revision: int) -> None:
        known, acked, _ = self.model.get(session, ({"revision": 0}, 0, False))
        parks = known["revision"] == revision > acked
        assert self.store.park(session, revision, "no") == parks
        if parks:
            self.model[session] = (known, acked, True)

    @rule(session=sessions)
    def retry(self, session: str) -> None:
        known, acked, parked = self.model.get(session, ({}, 0, False))
        assert self.store.retry(session) == parked
        if parked:
            self.model[session] = (known, acked, False)

    @rule(keep=st.integers(0, 2))
    def prune(self, keep: int) -> None:
        done = [
            session
            for session, (known, acked, _) in self.model.items()
            if acked == known["revision"] and known["state"] == "ended"
        ]
        gone = done[: max(0, len(done) - keep)]
        assert self.store.prune(keep) == len(gone)
        for session in gone:
            del self.model[session]

    @rule()
    def reopen(self) -> None:
        self.store.close()
        self.store = Store(self.path)

    @invariant()
    def pending_is_what_is_neither_acknowledged_nor_parked(self) -> None:
        if not hasattr(self, "store"):
            return
        waiting = [
            known
            for known, acked, parked in self.model.values()
            if acked < known["revision"] and not parked
        ]
        waiting.sort(key=lambda known: known["state"] != "active")  # stable: then by arrival
        assert self.store.pending(10) == waiting

    def teardown(self) -> None:
        self.store.close()
        self.directory.cleanup()


TestRevisionRule = RevisionRule.TestCase
TestRevisionRule.settings = settings(max_examples=25, stateful_step_count=25, deadline=None)


# Pending


def test_active_sessions_are_pending_first_then_the_oldest(store: Store) -> None:
    old, newer, running = document(7), document(7), document(1)
    for each in (old, newer, running):
        store.put(each)
    assert ids(store.pending(10)) == ids([running, old, newer])
    assert ids(store.pending(1)) == ids([running])


def test_pending_skips_a_revision_but_not_the_next_one(store: Store) -> None:
    one, other = document(1), document(7)
    store.put(one)
    store.put(other)
    skip = [(one["session_id"], 1)]
    assert ids(store.pending(10, skip=skip)) == ids([other])
    store.put(document(2, one["session_id"], state="active"))
    assert ids(store.pending(10, skip=skip)) == ids([one, other])


def test_an_acknowledgement_of_an_older_revision_leaves_the_newer_pending(store: Store) -> None:
    session_id = document()["session_id"]
    store.put(document(1, session_id))
    store.put(document(2, session_id))
    assert store.acknowledge(session_id, 1)
    assert [each["revision"] for each in store.pending(10)] == [2]
    assert store.acknowledge(session_id, 2)
    assert store.pending(10) == []
    assert not store.acknowledge(session_id, 2)


def test_an_acknowledgement_of_an_unknown_session_changes_nothing(store: Store) -> None:
    store.put(final := document(7))
    assert not store.acknowledge(final["session_id"], 8)
    assert not store.acknowledge("unknown", 1)
    assert ids(store.pending(10)) == [final["session_id"]]


def test_a_parked_session_says_why_and_waits_for_retry(store: Store) -> None:
    store.put(final := document(7))
    assert store.park(final["session_id"], 7, "blinks: expected columns")
    assert store.pending(10) == []
    assert store.counts() == {"sessions": 1, "pending": 0, "parked": 1, "delivered": 0}
    assert store.sessions(1)[0].parked_reason == "blinks: expected columns"
    assert store.retry(final["session_id"])
    assert ids(store.pending(10)) == [final["session_id"]]
    assert not store.retry(final["session_id"])


def test_a_higher_revision_of_a_parked_session_is_tried(store: Store) -> None:
    store.put(checkpoint := document(2))
    store.park(checkpoint["session_id"], 2, "no")
    store.put(document(3, checkpoint["session_id"]))
    assert [each["revision"] for each in store.pending(10)] == [3]


def test_a_refusal_of_an_older_revision_does_not_park_the_newer(store: Store) -> None:
    session_id = document()["session_id"]
    store.put(document(1, session_id))
    store.put(document(2, session_id))
    assert not store.park(session_id, 1, "late")
    assert ids(store.pending(10)) == [session_id]


def test_unfinished_returns_interrupted_sessions(store: Store) -> None:
    store.put(document(7))
    store.put(running := document(3, state="active"))
    store.acknowledge(running["session_id"], 3)
    assert store.unfinished() == [running]


def test_sessions_are_listed_newest_first_with_their_delivery_state(store: Store) -> None:
    old, new = document(7), document(7)
    store.put(old)
    store.put(new)
    store.acknowledge(new["session_id"], 7)
    found = store.sessions(10)
    assert [each.session_id for each in found] == ids([new, old])
    assert [each.delivered for each in found] == [True, False]
    assert found[0].document == new


def test_iterating_over_years_of_sessions_needs_the_memory_of_a_few(store: Store) -> None:
    """Services have a limit to it: a thousand sessions of two hours at once were 300 MB."""
    made = [document(7) for _ in range(100)]
    for each in made:
        store.put({**each, "blinks": {"at_s": [number / 8 for number in range(5000)]}})
    tracemalloc.start()
    try:
        found = [each.session_id for each in store.newest()]
        peak_mb = tracemalloc.get_traced_memory()[1] / 1e6
    finally:
        tracemalloc.stop()
    assert found == ids(made)[::-1]
    assert peak_mb < 2, "as text alone all at once are 4 MB"


# Pruning


def test_pruning_deletes_only_the_oldest_delivered_sessions(store: Store) -> None:
    delivered = [document(7) for _ in range(4)]
    waiting, refused, running = document(7), document(7), document(3, state="active")
    for each in (*delivered, waiting, refused, running):
        store.put(each)
    for each in (*delivered, running):
        store.acknowledge(each["session_id"], each["revision"])
    store.park(refused["session_id"], 7, "no")
    assert store.prune(2) == 2
    kept = [each.session_id for each in store.sessions(10)]
    assert kept == ids([running, refused, waiting, delivered[3], delivered[2]])
    assert store.prune(0) == 2
    assert store.counts()["sessions"] == 3


# Commands


def command(**changes: Any) -> dict[str, Any]:
    expires_at = (NOW + timedelta(seconds=30)).isoformat()
    return {
        "id": "0193a1b2-7c3d-7e4f-8a5b-000000000001",
        "command": "start",
        "expires_at": expires_at,
        **changes,
    }


def test_a_command_is_given_out_once(store: Store) -> None:
    assert store.add_command(command(), NOW)
    assert store.take_command(NOW) == command()
    assert store.take_command(NOW) is None


def test_a_repeated_command_is_ignored_before_and_after_it_was_taken(store: Store) -> None:
    assert store.add_command(command(), NOW)
    assert not store.add_command(command(), NOW)
    store.take_command(NOW)
    assert not store.add_command(command(command="stop"), NOW)
    assert store.take_command(NOW) is None


def test_an_expired_command_is_never_given_out(store: Store) -> None:
    store.add_command(command(), NOW)
    assert store.take_command(NOW + timedelta(seconds=30)) is None
    assert store.take_command(NOW) is None, "a clock set back does not bring it back"


def test_a_command_expires_half_a_minute_after_arrival_with_any_clock(
    store: Store,
) -> None:
    """A device without a battery clock may be days behind who sent the command."""
    behind = NOW - timedelta(days=9)
    store.add_command(command(), behind)
    assert store.take_command(behind + timedelta(seconds=30)) is None
    another = command(id="0193a1b2-7c3d-7e4f-8a5b-000000000002")
    store.add_command(another, behind)
    assert store.take_command(behind + timedelta(seconds=29)) == another


@pytest.mark.parametrize(
    ("back", "is_taken"), [(timedelta(hours=1), False), (timedelta(seconds=5), True)]
)
def test_setting_the_clock_back_does_not_extend_a_command(
    store: Store, back: timedelta, is_taken: bool
) -> None:
    store.add_command(command(), NOW)
    assert (store.take_command(NOW - back) is not None) is is_taken


def test_commands_are_taken_in_order_of_arrival(store: Store) -> None:
    numbers = [f"0193a1b2-7c3d-7e4f-8a5b-{number:012}" for number in (3, 1, 2)]
    for number in numbers:
        store.add_command(command(id=number), NOW)
    taken = [store.take_command(NOW) for _ in numbers]
    assert [each["id"] for each in taken if each] == numbers


def test_a_command_keeps_the_session_it_is_for_and_nothing_unknown(store: Store) -> None:
    session_id = document()["session_id"]
    store.add_command(command(session_id=session_id, shell="reboot"), NOW)
    assert store.take_command(NOW) == command(session_id=session_id)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"id": None}, "id: expected a UUID, found None"),
        ({"id": "1; DROP TABLE"}, "id: expected a UUID"),
        ({"id": ["x"] * 1000}, "id: expected a UUID"),
        ({"command": "reboot"}, "command: expected one of start, stop, found 'reboot'"),
        ({"command": {}}, "command: expected one of start, stop"),
        ({"expires_at": "soon"}, "expires_at: expected a time with its zone, found 'soon'"),
        ({"expires_at": "2026-11-22T10:00:00"}, "expires_at: expected a time with its zone"),
        ({"expires_at": 5}, "expires_at: expected a time with its zone"),
        ({"session_id": "../x"}, "session_id: expected a UUID"),
    ],
)
def test_an_invalid_command_is_refused(
    store: Store, changes: dict[str, Any], expected: str
) -> None:
    with pytest.raises(ValueError, match=expected) as refused:
        store.add_command(command(**changes), NOW)
    assert len(str(refused.value)) < 200, "what comes from outside does not fill the log"
    assert store.take_command(NOW) is None


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=40),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)
TIMES = st.datetimes().map(str) | st.datetimes(timezones=st.timezones()).map(datetime.isoformat)


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    command=st.fixed_dictionaries(
        {},
        optional={
            "id": st.uuids().map(str) | VALUES,
            "command": st.sampled_from(["start", "stop"]) | VALUES,
            "expires_at": TIMES | VALUES,
            "session_id": st.uuids().map(str) | VALUES,
        },
    )
)
def test_any_input_as_a_command_is_refused_or_can_be_executed(
    store: Store, command: dict[str, Any]
) -> None:
    long_ago = datetime(2000, 1, 1, tzinfo=UTC)
    with contextlib.suppress(ValueError):
        store.add_command(command, long_ago)
    taken = store.take_command(long_ago)
    if taken is not None:
        assert taken["command"] in ("start", "stop")
        assert str(uuid.UUID(taken["id"])) == taken["id"]


def test_a_flood_of_commands_does_not_fill_the_disk(path: Path, store: Store) -> None:
    for number in range(COMMANDS_KEPT + 20):
        store.add_command(command(id=f"0193a1b2-7c3d-7e4f-8a5b-{number:012}"))
    with sqlite3.connect(path) as raw:
        assert raw.execute("SELECT count(*) FROM commands").fetchone() == (COMMANDS_KEPT,)
    raw.close()


# Notes and news


def test_a_note_is_read_by_the_other_process(path: Path, store: Store) -> None:
    other = Store(path)
    store.note("watch", {"state": "measuring"})
    assert other.noted("watch") == {"state": "measuring"}
    assert other.noted("nothing") is None
    other.close()


def test_data_version_changes_only_when_another_connection_writes(path: Path, store: Store) -> None:
    other = Store(path)
    before = store.data_version()
    store.put(document(1))
    store.note("own", 1)
    assert store.data_version() == before
    other.note("own", 1)
    assert store.data_version() == before, "a note that says nothing new is no write"
    other.put(document(1))
    assert store.data_version() != before
    other.close()


# The file


def test_only_the_owner_can_read_the_file(path: Path, store: Store) -> None:
    store.put(document(7))
    modes = {file.name: file.stat().st_mode & 0o777 for file in path.parent.iterdir()}
    assert {"agent.sqlite3", "agent.sqlite3-wal"} <= modes.keys()
    assert set(modes.values()) == {0o600}


def test_a_commit_is_on_the_disk_before_put_returns(path: Path, store: Store) -> None:
    raw = store._file._db
    assert raw is not None
    assert raw.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert raw.execute("PRAGMA synchronous").fetchone() == (2,), "2 is FULL"


@pytest.mark.parametrize("version", range(len(MIGRATIONS)))
def test_a_store_of_every_older_schema_is_brought_up_to_date(path: Path, version: int) -> None:
    path.parent.mkdir()
    with sqlite3.connect(path) as old:
        for script in MIGRATIONS[:version]:
            old.executescript(script)
        old.execute(f"PRAGMA user_version = {version}")
        old.execute("PRAGMA application_id = 0x424C4E4B")
    old.close()
    store = Store(path)
    assert store.put(document(7))
    store.close()


def test_a_store_of_a_newer_agent_is_refused_and_left_alone(path: Path) -> None:
    Store(path).close()
    with sqlite3.connect(path) as newer:
        newer.execute("PRAGMA user_version = 99")
    newer.close()
    with pytest.raises(
        StoreError, match=r"expected schema 1 or older, found 99.*newer blink-agent"
    ):
        Store(path)
    assert [each.name for each in path.parent.glob("*damaged*")] == []


def test_the_database_of_another_program_is_refused_and_left_alone(path: Path) -> None:
    path.parent.mkdir()
    with sqlite3.connect(path) as foreign:
        foreign.execute("CREATE TABLE theirs (x)")
    foreign.close()
    before = path.read_bytes()
    with pytest.raises(StoreError, match="expected a Blinklog store, found a database"):
        Store(path)
    assert path.read_bytes() == before


def test_two_threads_with_separate_stores_never_deadlock(path: Path) -> None:
    def work(session_id: str) -> None:
        own = Store(path)
        for revision in range(1, 41):
            own.put(document(revision, session_id))
            own.acknowledge(session_id, revision)
        own.close()

    sessions = [document()["session_id"] for _ in range(3)]
    threads = [threading.Thread(target=work, args=[each]) for each in sessions]
    for each in threads:
        each.start()
    for each in threads:
        each.join(60)
    store = Store(path)
    assert {each.session_id: each.acked_revision for each in store.sessions(9)} == dict.fromkeys(
        sessions, 40
    )
    store.close()


# Damage


def filled(path: Path, count: int = 40) -> list[dict[str, Any]]:
    """A closed store with sessions, all in its main file."""
    store = Store(path)
    documents = [document(7) for _ in range(count)]
    for each in documents:
        store.put(each)
    store.acknowledge(documents[0]["session_id"], 7)
    store.close()
    assert not path.with_name("agent.sqlite3-wal").exists()
    return documents


def set_aside(path: Path) -> list[Path]:
    return sorted(path.parent.glob("*.damaged-*.sqlite3"))


def garbage(path: Path) -> None:
    path.write_bytes(os.urandom(8192))


def zeroed(path: Path) -> None:
    path.write_bytes(bytes(path.stat().st_size))


def emptied(path: Path) -> None:
    os.truncate(path, 0)


def cut_within_a_page(path: Path) -> None:
    os.truncate(path, 5000)


def without_its_header(path: Path) -> None:
    with path.open("r+b") as file:
        file.write(b"\xff" * 100)


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
    assert store.counts()["pending"] == saved, "all are sent again: the server knows what it has"
    known = {each["session_id"]: each for each in documents}
    assert all(each.document == known[each.session_id] for each in store.sessions(99))
    assert ids(store.pending(99)) == [each for each in known if store.document(each)], "in order"
    store.close()


def damage_page(path: Path, share: float) -> None:
    pages = path.stat().st_size // 4096
    with path.open("r+b") as file:
        file.seek(4096 * int(pages * share))
        file.write(b"\xee" * 4096)


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


def test_an_altered_document_is_never_delivered(path: Path) -> None:
    documents = filled(path, 3)
    blinks = documents[1]["metrics"]["blink_count"]
    with sqlite3.connect(path) as raw:  # a flipped bit in the middle of a row: SQLite can't tell
        raw.execute(
            "UPDATE sessions SET document = replace(document, ?, ?) WHERE session_id = ?",
            [f'"blink_count":{blinks}', '"blink_count":99', documents[1]["session_id"]],
        )
    raw.close()
    store = Store(path)
    assert ids(store.pending(9)) == [documents[2]["session_id"]]
    assert ids(store.pending(1)) == [documents[2]["session_id"]]
    assert store.counts()["parked"] == 1
    store.close()


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

    monkeypatch.setattr("os.posix_fallocate", full)
    store = Store(path)
    with pytest.raises(StoreError, match="the disk is full: no new session"):
        store.put(document(1, state="active"))
    assert store.put(document(7)), "what is finished is kept as long as it goes"
    monkeypatch.undo()
    assert store.put(document(1, state="active")), "and once there is room, it begins"
    store.close()


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
