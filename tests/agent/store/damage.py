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


def flip_bit(path: Path, session_id: str, where: str) -> None:
    """Flip one bit of a session's id where the table's row has it, or where its index does.

    SQLite has no checksums, and every page stays valid.
    """
    kind = {"row": 0x0D, "index": 0x0A}[where]  # the first byte of a leaf page
    content = bytearray(path.read_bytes())
    (found,) = (
        at
        for at in places(content, session_id.encode())
        if content[at - at % 4096] == kind and content[at - 14 : at] != b'"session_id":"'
    )
    content[found + 30] ^= 1
    path.write_bytes(content)


def places(content: bytes | bytearray, text: bytes) -> list[int]:
    """Where `text` begins in `content`."""
    found, at = [], content.find(text)
    while at >= 0:
        found.append(at)
        at = content.find(text, at + 1)
    return found
