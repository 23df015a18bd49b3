"""Stores of released agents: a newer agent continues with them, an older one leaves them alone.

`stores/schema-N.sql` is a store as the last release with N steps of agent/store/schema.py left it.
"""

import hashlib
import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from agent.errors import StoreError
from agent.store import store as store_module
from agent.store.schema import APPLICATION_ID, MIGRATIONS
from agent.store.store import Store

ROOT = Path(__file__).parents[3]
DUMPS = sorted((Path(__file__).parents[1] / "stores").glob("schema-*.sql"))
NEXT = "ALTER TABLE sessions ADD COLUMN colour TEXT;\nCREATE TABLE shelves (name TEXT) STRICT;\n"
DELIVERED, PENDING, REFUSED, AGAIN, ACTIVE = (
    f"0193a1b2-0000-7000-8000-00000000000{number}" for number in range(1, 6)
)


def number_of(dump: Path) -> int:
    return int(dump.stem.removeprefix("schema-"))


@pytest.fixture(params=DUMPS, ids=lambda dump: dump.stem)
def dump(request: pytest.FixtureRequest) -> Path:
    found: Path = request.param
    return found


@pytest.fixture
def path(tmp_path: Path, dump: Path) -> Path:
    """A store as that release left it."""
    path = tmp_path / "agent.sqlite3"
    with closing(sqlite3.connect(path)) as db:
        db.executescript("PRAGMA journal_mode = WAL;" + dump.read_text())
    return path


def schema(db: sqlite3.Connection) -> set[tuple[str, ...]]:
    """What is in it, whatever the blanks."""
    rows = db.execute("SELECT type, name, sql FROM sqlite_schema WHERE sql IS NOT NULL")
    return {(kind, name, " ".join(sql.split())) for kind, name, sql in rows}


def pragma(path: Path, name: str) -> Any:
    with closing(sqlite3.connect(path)) as db:
        return db.execute(f"PRAGMA {name}").fetchone()[0]


def content(store: Store) -> dict[str, tuple[int, int, str, str | None]]:
    return {
        each.session_id: (each.revision, each.acked_revision, each.state, each.parked_reason)
        for each in store.sessions(100)
    }


EXPECTED = {
    DELIVERED: (7, 7, "ended", None),
    PENDING: (7, 0, "ended", None),
    REFUSED: (7, 0, "ended", "blinks: expected columns of one length"),
    AGAIN: (7, 3, "ended", None),
    ACTIVE: (1, 0, "active", None),
}


def test_there_is_a_store_of_every_released_schema() -> None:
    assert [number_of(dump) for dump in DUMPS] == list(range(1, len(MIGRATIONS) + 1))


def test_a_released_migration_was_never_changed(path: Path, dump: Path) -> None:
    with closing(sqlite3.connect(path)) as old, closing(sqlite3.connect(":memory:")) as new:
        for step in MIGRATIONS[: number_of(dump)]:
            new.executescript(step)
        assert schema(new) == schema(old)
    assert pragma(path, "user_version") == number_of(dump)
    assert pragma(path, "application_id") == APPLICATION_ID


def test_the_current_agent_continues_with_a_released_store(path: Path) -> None:
    with closing(Store(path)) as store:
        assert content(store) == EXPECTED
        pending = [each["session_id"] for each in store.pending(10)]
        assert pending == [ACTIVE, PENDING, AGAIN]
        assert [each["session_id"] for each in store.unfinished()] == [ACTIVE]
        assert store.take_command() is None, "commands live half a minute: an upgrade takes longer"
        assert store.noted("delivery")["ok"] is True
        assert store.noted("store") is None, "nothing was damaged"
    assert pragma(path, "user_version") == len(MIGRATIONS)
    assert pragma(path, "integrity_check") == "ok"


def test_an_upgrade_applies_a_migration_and_keeps_everything(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store_module, "MIGRATIONS", (*MIGRATIONS, NEXT))
    with closing(Store(path)) as store, closing(Store(path)) as other:
        assert content(store) == content(other) == EXPECTED
    assert pragma(path, "user_version") == len(MIGRATIONS) + 1
    with closing(sqlite3.connect(path)) as db:
        assert db.execute("SELECT count(colour) FROM sessions").fetchone() == (0,)


def test_a_failed_upgrade_changes_nothing(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_module, "MIGRATIONS", (*MIGRATIONS, NEXT + "DROP TABLE nowhere;"))
    with pytest.raises(StoreError):
        Store(path)
    monkeypatch.undo()
    with closing(Store(path)) as store:
        assert content(store) == EXPECTED
    with closing(sqlite3.connect(path)) as db:
        assert "shelves" not in {name for _, name, _ in schema(db)}


def test_a_power_cut_during_an_upgrade_loses_nothing(path: Path) -> None:
    """Killed by the disk's first write, in the middle of the step's transaction."""
    upgrade = (
        "import os, signal, sys; from pathlib import Path\n"
        "from agent.store import file, store\n"
        f"store.MIGRATIONS = (*store.MIGRATIONS, {NEXT!r})\n"
        "def cut(db, script, version):\n"
        "    db.executescript(script)\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
        "file._apply = cut\n"
        "store.Store(Path(sys.argv[1]))\n"
    )
    died = subprocess.run([sys.executable, "-c", upgrade, path], cwd=ROOT, timeout=60, check=False)
    assert died.returncode == -9
    assert pragma(path, "user_version") < len(MIGRATIONS) + 1
    with closing(Store(path)) as store:
        assert content(store) == EXPECTED


@pytest.mark.parametrize("command", ["watch", "sync", "status"])
def test_an_older_agent_refuses_a_newer_store_and_leaves_it_unchanged(
    path: Path, command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as later:
        later.setattr(store_module, "MIGRATIONS", (*MIGRATIONS, NEXT))
        Store(path).close()
    before = digest(path)
    environment = {
        "BLINKLOG_AGENT_STORE_PATH": str(path),
        "BLINKLOG_AGENT_CONTROLS_PINS": "none",
        "BLINKLOG_AGENT_SERVER_URL": "http://127.0.0.1:9",
    }
    code = (
        "from agent.cli import main; from agent.watch import loop;"
        " loop.FAULT_S = 0; raise SystemExit(main.main())"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, command],
        env={**os.environ, **environment},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    said = done.stdout + done.stderr
    assert f"expected schema {len(MIGRATIONS)} or older, found {len(MIGRATIONS) + 1}" in said
    assert "newer blink-agent" in said
    assert "Traceback" not in said
    assert digest(path) == before
    assert not list(path.parent.glob("*.damaged-*"))
    monkeypatch.setattr(store_module, "MIGRATIONS", (*MIGRATIONS, NEXT))
    with closing(Store(path)) as store:
        assert content(store) == EXPECTED


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
