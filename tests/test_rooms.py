"""Agent and server are two programs: neither imports the other."""

import ast
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
