"""A store of the first released schema, opened by an agent that knows the next one."""

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path

from agent.store import store as store_module
from agent.store.schema import MIGRATIONS
from agent.store.store import Store
from bench.powercuts.part import Tally
from bench.powercuts.recording import Marker
from bench.powercuts.with_device_store import NAME, Session, StoreCalls
from tests.agent.documents import document

SESSIONS = 12
NEXT = """
    CREATE TABLE shelves (name TEXT) STRICT;
    ALTER TABLE sessions ADD COLUMN shelf TEXT;
    UPDATE sessions SET shelf = 'upper';
    CREATE INDEX sessions_shelf ON sessions (shelf);
"""


class Upgrade(StoreCalls):
    """A few calls after an upgrade of the schema, which writes every session."""

    steps = 4

    def prepare(self, folder: Path) -> None:
        with _schema(MIGRATIONS[:1]), contextlib.closing(Store(folder / NAME)) as store:
            for number in range(SESSIONS):
                session = Session(document(2, self.uuid()))
                store.put(session.document)
                if number % 2:
                    session.acked = 2
                    store.acknowledge(session.document["session_id"], 2)
                self.before.sessions[session.document["session_id"]] = session

    def drive(self, folder: Path, mark: Marker) -> None:
        with _schema((*MIGRATIONS, NEXT)):
            super().drive(folder, mark)

    def check(self, folder: Path, marks: Sequence[str], tally: Tally) -> None:
        with _schema((*MIGRATIONS, NEXT)):
            super().check(folder, marks, tally)


@contextlib.contextmanager
def _schema(migrations: tuple[str, ...]) -> Iterator[None]:
    before, store_module.MIGRATIONS = store_module.MIGRATIONS, migrations
    try:
        yield
    finally:
        store_module.MIGRATIONS = before
