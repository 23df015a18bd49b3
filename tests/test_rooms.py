"""Agent and server are two programs: neither imports the other. Tests have the limits of code."""

import ast
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.mark.parametrize(("mine", "other"), [("agent", "server"), ("server", "agent")])
def test_neither_imports_the_other(mine: str, other: str) -> None:
    for path in (ROOT / mine).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [each.name for each in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and node.module:
                names = [node.module]
            assert other not in {name.split(".")[0] for name in names}, path


TESTS = sorted((ROOT / "tests").rglob("*.py"))


def test_no_test_module_is_longer_than_400_lines() -> None:
    lengths = {path: len(path.read_text().splitlines()) for path in TESTS}
    assert not {path: n for path, n in lengths.items() if n > 400}


def test_a_folder_of_tests_can_be_named_after_one_look() -> None:
    crowded = Counter(path.parent for path in TESTS)
    assert not {folder: n for folder, n in crowded.items() if n > 20}
