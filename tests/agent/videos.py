"""Videos with something wrong in them."""

from collections.abc import Collection
from pathlib import Path


def damaged(path: Path, numbers: Collection[int]) -> Path:
    """A copy of an AVI with zeros in place of the pictures of these numbers."""
    content = bytearray(path.read_bytes())
    at, number = content.index(b"movi") + 4, 0
    while content[at : at + 4] == b"00dc":
        length = int.from_bytes(content[at + 4 : at + 8], "little")
        if number in numbers:
            content[at + 8 : at + 8 + length] = bytes(length)
        at += 8 + length + length % 2
        number += 1
    damaged = path.with_name("damaged.avi")
    damaged.write_bytes(content)
    return damaged
