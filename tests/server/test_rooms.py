"""Which room of the server may import which. A breach fails here, with the import that did it."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SERVER = ROOT / "server"

# From the bottom up: which rooms each room may import, beside itself. `config` names the apps in
# its settings and routes, and `blink-server` its commands, without importing them.
ROOMS = {
    "common": set(),
    "care": {"common"},
    "replica": {"care"},
    "devices": {"common", "care"},
    "session_data": {"common", "care", "devices", "replica"},
    "monitoring": set(),
    "aiming": {"common", "care", "devices", "session_data"},
    "reminding": {"common", "care", "devices", "session_data"},
    "releases": {"common", "care", "devices"},
    "home_assistant": {"common", "care", "devices", "session_data"},
    "ingest": {
        "common", "devices", "session_data", "aiming", "reminding", "home_assistant", "monitoring",
    },
    "notes": {"common", "care", "session_data"},
    "dashboard": {"common", "care", "devices", "session_data", "aiming", "notes", "replica"},
    "alerts": {"common", "care", "devices", "session_data", "monitoring", "dashboard"},
    "visit": {"common", "care", "session_data", "notes", "dashboard"},
    "retention": {
        "common", "care", "devices", "session_data", "aiming", "reminding", "notes", "replica",
        "monitoring", "alerts", "visit",
    },
    "backup": {"common", "care", "devices", "session_data", "notes", "monitoring"},
    "operations": {
        "common",
        "care",
        "devices",
        "replica",
        "monitoring",
        "ingest",
        "alerts",
        "backup",
    },
    "config": {"common", "operations"},
}  # fmt: skip
# The arrows that run up, with their reasons.
EXCEPTIONS = {
    # Tokens are issued and revoked with a token alone, a person's or a device's.
    ("care.views", "devices.authentication"),
    # The admin site deletes sessions as every other way does.
    ("session_data.admin", "retention.deletion"),
}


def own_imports(path: Path) -> set[str]:
    """The server's modules that the file imports, as `room.module`."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found.update(each.name for each in node.names if each.name.startswith("server."))
        elif isinstance(node, ast.ImportFrom) and node.module == "server":
            found.update(f"server.{each.name}" for each in node.names)
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("server."):
            assert node.module is not None
            names = (f"{node.module}.{each.name}" for each in node.names)
            found.update(name if is_module(name) else node.module for name in names)
    return {name.removeprefix("server.") for name in found}


def is_module(name: str) -> bool:
    place = ROOT / name.replace(".", "/")
    return place.with_suffix(".py").exists() or place.is_dir()


def modules() -> list[Path]:
    return [path for path in sorted(SERVER.rglob("*.py")) if "migrations" not in path.parts]


def test_every_file_has_a_room() -> None:
    assert {path.name for path in SERVER.glob("*.py")} == {"__init__.py"}
    assert {path.parent.name for path in SERVER.glob("*/__init__.py")} == set(ROOMS)


def test_the_order_of_the_rooms_has_no_circle() -> None:
    done: set[str] = set()
    for room, below in ROOMS.items():
        assert below <= done, room
        done.add(room)


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_of_the_own_imports_only_rooms_below_it(room: str) -> None:
    allowed = ROOMS[room] | {room}
    for path in modules():
        module = ".".join(path.relative_to(SERVER).with_suffix("").parts)
        if module.partition(".")[0] != room:
            continue
        for name in own_imports(path):
            known = (module, name) in EXCEPTIONS
            assert name.partition(".")[0] in allowed or known, f"{module} imports {name}"


def test_every_exception_is_still_needed() -> None:
    arrows = {
        (".".join(path.relative_to(SERVER).with_suffix("").parts), name)
        for path in modules()
        for name in own_imports(path)
    }
    assert arrows >= EXCEPTIONS


def test_every_room_says_what_lives_there() -> None:
    for path in modules():
        if path.name == "__init__.py":
            assert ast.get_docstring(ast.parse(path.read_text())), path


def test_no_module_is_longer_than_400_lines() -> None:
    lengths = {path: len(path.read_text().splitlines()) for path in modules()}
    assert not {path: n for path, n in lengths.items() if n > 400}


def test_a_folder_can_be_named_after_one_look() -> None:
    for folder in {path.parent for path in modules()}:
        assert len(list(folder.glob("*.py"))) <= 20, folder


def test_the_api_is_in_views_and_html_in_pages() -> None:
    """Nothing is called `*_views` or `*_pages`, no `views.py` renders HTML, no page is REST."""
    for path in modules():
        assert not path.stem.endswith(("_views", "_pages", "_view", "_urls")), path
        names = all_imports(path)
        if path.stem == "views":
            assert "django.shortcuts" not in names, path
        elif path.stem == "pages" or path.parent.name == "pages":
            assert not {name for name in names if name.startswith("rest_framework")}, path


def all_imports(path: Path) -> set[str]:
    """Every module that the file imports, by its dotted name."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found.update(each.name for each in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
    return found
