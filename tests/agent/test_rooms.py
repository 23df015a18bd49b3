"""Who may import whom in `agent/`. A breach of the design fails here, with the file that did it."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
AGENT = ROOT / "agent"

TOP = {
    "errors": set(),
    "calls": set(),
    "files": {"errors"},
    "records": set(),
    "clock": set(),
    "convert": {"errors"},
    "config": {"errors", "records", "convert"},
    "ear": {"records"},
    "capture": {"records", "errors", "config", "camera"},
    "sync": {"records", "errors", "transport"},
}
"""The files of the top level, and what each may import of the agent."""

ROOMS = {
    "camera": {"records", "errors", "calls", "config"},
    "face": {"records", "errors", "files", "config"},
    "measure": {"records", "errors", "clock", "ear"},
    "controls": {"records", "errors", "config"},
    "store": {"records", "errors", "files", "clock", "config"},
    "transport": {"records", "errors", "calls", "config"},
    "system": {"records", "errors", "calls", "config"},
    "watch": {"records", "errors", "clock", "measure", "controls", "system"},
    "release": {"errors", "files", "system"},
    "enrol": {"errors", "files", "config", "system", "transport", "release"},
    "health": {
        "records", "errors", "clock", "config", "capture", "face", "measure", "store", "sync",
        "system", "transport", "release",
    },
    "offline": {"records", "errors", "ear", "camera", "files", "measure", "system"},
}  # fmt: skip
"""The rooms, and what the files of each may import of the agent beside their own room.

`cli` is not among them: it joins the parts, so it imports all, and nothing imports it.
"""

LIBRARIES = {
    "cv2": {"camera", "face", "offline"},
    "picamera2": {"camera/pi"},
    "ai_edge_litert": {"face/models"},  # one interpreter under its two names
    "tflite_runtime": {"face/models"},
    "gpiozero": {"controls/panel", "health/check_controls"},
    "sqlite_utils": {"store"},
    "paho": {"transport/mqtt", "transport/mqtt_connection"},
    "requests": {"transport/http", "transport/request"},
    "urllib3": {"transport/http", "transport/request"},
    "tomlkit": {"enrol/toml_edit"},
    "matplotlib": {"offline/plot"},
    "numpy": {"records", "ear", "capture", "camera", "face", "measure", "offline", "health", "cli"},
}
"""The outside libraries, and the rooms or files that may import them."""

PURE_STDLIB = {
    "array", "bisect", "collections", "copy", "dataclasses", "datetime", "enum", "itertools",
    "math", "statistics", "typing",
}  # fmt: skip
PURE = sorted(
    str(path.relative_to(AGENT).with_suffix(""))
    for path in [AGENT / "ear.py", *AGENT.glob("measure/*.py")]
    # One joins a tracker, a clock and a session, the other a face and a session.
    if path.stem not in ("recording", "aim")
)
CLOCKS = {"datetime.now", "datetime.utcnow", "time.time", "time.monotonic", "date.today"}
FILES = sorted(AGENT.rglob("*.py"))


def name_of(path: Path) -> str:
    """As in the tables: `ear`, `camera/pi`."""
    return str(path.relative_to(AGENT).with_suffix(""))


def imported(path: Path) -> set[str]:
    """Every imported module's dotted name."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found.update(each.name for each in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [f"{node.module}.{each.name}" for each in node.names]
            found.update(names if node.module.split(".")[0] == "agent" else [node.module])
    return found - {"agent.__version__"}


def own(names: set[str]) -> set[str]:
    """The rooms and top-level files of the agent among them."""
    return {name.split(".")[1] for name in names if name.startswith("agent.")}


def outside(names: set[str]) -> set[str]:
    """The libraries among them: neither ours nor Python's own."""
    return {name.split(".")[0] for name in names} - set(sys.stdlib_module_names) - {"agent"}


def test_every_file_has_a_room() -> None:
    top = {path.stem for path in AGENT.glob("*.py")} - {"__init__"}
    assert top == set(TOP)
    assert {path.parent.name for path in AGENT.glob("*/__init__.py")} == {*ROOMS, "cli"}


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_a_file_imports_what_its_room_may(path: Path) -> None:
    room = name_of(path).split("/")[0]
    if room in ("cli", "__init__"):
        return
    allowed = TOP.get(room) if path.parent == AGENT else {*ROOMS[room], room}
    assert allowed is not None
    assert own(imported(path)) <= allowed


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_an_outside_library_is_imported_in_its_own_place_alone(path: Path) -> None:
    name = name_of(path)
    for library in outside(imported(path)):
        assert {name, name.split("/")[0]} & LIBRARIES[library], library


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_a_file_can_be_read_in_one_go(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= 400


def test_a_folder_can_be_named_after_one_look() -> None:
    for folder in {path.parent for path in FILES}:
        assert len(list(folder.glob("*.py"))) <= 20, folder
        first = ast.get_docstring(ast.parse((folder / "__init__.py").read_text()))
        assert first, f"{folder}: what lives there?"


@pytest.mark.parametrize("module", PURE)
def test_the_core_imports_records_numpy_and_mathematics_alone(module: str) -> None:
    names = imported(AGENT / f"{module}.py")
    assert own(names) <= {"records", "measure"}
    assert outside(names) <= {"numpy"}
    stdlib = {name.split(".")[0] for name in names} & set(sys.stdlib_module_names)
    assert stdlib <= PURE_STDLIB


@pytest.mark.parametrize("module", PURE)
def test_the_core_reads_no_clock(module: str) -> None:
    tree = ast.parse((AGENT / f"{module}.py").read_text())
    called = {ast.unparse(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
    assert not called & CLOCKS


def test_watch_never_reaches_the_network_and_sync_never_the_camera() -> None:
    assert not reached("watch") & {"sync", "transport"}
    assert not reached("sync") & {"capture", "camera", "face", "controls"}


def test_a_command_that_does_not_measure_loads_neither_opencv_nor_numpy() -> None:
    """`sync` and `status` among them: `sync` would hold both in memory for good."""
    imports = "import sys, agent.cli.main, agent.sync, agent.transport.mqtt, agent.transport.http"
    ran = subprocess.run(
        [sys.executable, "-c", f"{imports}; print(*sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
    )
    assert not {"cv2", "numpy"} & set(ran.stdout.split())


def reached(room: str) -> set[str]:
    """The rooms and top-level files that a room imports, directly or not."""
    seen: set[str] = set()
    todo = {room}
    while todo:
        name = todo.pop()
        seen.add(name)
        files = AGENT.glob(f"{name}/*.py") if (AGENT / name).is_dir() else [AGENT / f"{name}.py"]
        todo |= {each for path in files for each in own(imported(path))} - seen
    return seen
