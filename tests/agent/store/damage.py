"""Ways to damage a store's file."""

import os
from pathlib import Path
from typing import Any

from agent.store.store import Store
from tests.agent.documents import document


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


def damage_page(path: Path, share: float) -> None:
    pages = path.stat().st_size // 4096
    with path.open("r+b") as file:
        file.seek(4096 * int(pages * share))
        file.write(b"\xee" * 4096)
