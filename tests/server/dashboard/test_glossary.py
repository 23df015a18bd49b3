"""The pages use one word for one thing: that of docs/glossary.md."""

import re
from pathlib import Path

import pytest

from server import dashboard

ROOT = Path(__file__).resolve().parents[3]
CATALOGUE = Path(dashboard.__file__).parent / "locale/de/LC_MESSAGES/django.po"


def rows() -> list[list[str]]:
    lines = (ROOT / "docs/glossary.md").read_text().splitlines()
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if "|" in line]
    return cells[2:]  # after the heading and the line below it


def texts(kind: str) -> list[str]:
    """All English (`msgid`) or German (`msgstr`) texts."""
    return re.findall(rf'^{kind}(?:_plural|\[\d\])? "(.+)"$', CATALOGUE.read_text(), re.M)


def words(row: list[str], column: int) -> list[str]:
    return [word.strip() for word in row[column].split(",")]


@pytest.mark.parametrize("row", rows(), ids=lambda row: row[0])
def test_the_pages_use_no_second_word(row: list[str]) -> None:
    for kind, column in (("msgid", 3), ("msgstr", 4)):
        for word in words(row, column):
            found = [text for text in texts(kind) if re.search(rf"\b{word}\b", text, re.I)]
            assert found == [], f"{word}: say {row[0]} / {row[1]}"


def test_the_table_is_read() -> None:
    assert len(rows()) > 15
    assert all(len(row) == 5 and all(row) for row in rows())
    assert len(texts("msgid")) > 500
    assert len(texts("msgstr")) >= len(texts("msgid")) - 20
