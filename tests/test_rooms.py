"""Who may import whom. A breach of the design fails here, with the line that did it."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
AGENT = ROOT / "agent"

PURE = {
    "records": set(),
    "openness": {"records"},
    "ear": {"records"},
    "dips": {"records", "openness"},
    "blinks": {"records", "openness", "dips"},
    "quality": {"dips"},
    "gaze": {"records", "openness", "dips"},
    "metrics": {"quality"},
    "session": {"records", "openness", "blinks", "quality", "gaze", "metrics"},
    "document": {"metrics"},
    "evidence": {"records", "openness", "session", "metrics"},
}
PURE_STDLIB = {
    "bisect", "collections", "copy", "dataclasses", "datetime", "enum", "itertools", "math",
    "statistics", "typing",
}  # fmt: skip
CLOCKS = {"datetime.now", "datetime.utcnow", "time.time", "time.monotonic", "date.today"}
EDGE = {
    "capture": {"cv2"},
    "video_file": {"cv2"},
    "video_name": set(),
    "containers": set(),
    "picamera": {"picamera2"},
    "packaged_files": set(),
    "flatbuffer": set(),
    "model_cut": set(),
    "manifest": set(),
    "mapped_memory": set(),
    "models": {"ai_edge_litert", "tflite_runtime"},  # one interpreter under its two names
    "landmarks": {"cv2"},
    "face_check": {"cv2"},
    "mesh": {"cv2"},
    "detector": {"cv2"},
    "crops": {"cv2"},
    "eyes": set(),
    "sharpness": {"cv2"},
    "store": {"sqlite_utils"},
    "store_schema": set(),
    "store_file": {"sqlite_utils"},
    "controls": {"gpiozero"},
    "light": set(),
    "presses": set(),
    "evdev_button": set(),
    "transport_mqtt": {"paho"},
    "mqtt_connection": {"paho"},
    "transport_http": {"requests"},
    "whole_file": set(),
    "canvas": {"cv2"},
    "chart": set(),
    "plot": {"cv2"},
    "overlay": {"cv2"},
}
EDGE_MAY_SHARE = {"records", "errors"}
SAME_ROOM = {
    "capture": {"picamera", "pace", "video_file"},
    "video_file": {"containers", "video_name"},
    "controls": {"light", "presses", "evdev_button"},
    "landmarks": {"crops", "detector", "eyes", "face_check", "mesh", "sharpness"},
    "face_check": {"crops", "detector", "mesh"},
    "mesh": {"crops", "detector", "eyes", "models"},
    "detector": {"crops", "models"},
    "eyes": {"detector", "models"},
    "model_cut": {"flatbuffer"},
    "manifest": {"model_cut", "packaged_files"},
    "models": {"manifest", "mapped_memory", "packaged_files"},
    "store": {"store_file", "store_schema"},
    "transport_mqtt": {"mqtt_connection"},
    "chart": {"canvas", "evidence", "session"},
    "plot": {"canvas", "chart", "evidence", "session"},
    "overlay": {"canvas", "chart", "ear", "evidence", "video_name"},
}


def imported(path: Path) -> dict[str, int]:
    """Every imported module's dotted name, with its line."""
    found: dict[str, int] = {}
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found.update({each.name: node.lineno for each in node.names})
        elif isinstance(node, ast.ImportFrom) and node.module:
            if node.module == "agent":
                found.update({f"agent.{each.name}": node.lineno for each in node.names})
            else:
                found[node.module] = node.lineno
    return found


def own(names: dict[str, int]) -> set[str]:
    """The agent's modules among them."""
    return {name.split(".")[1] for name in names if name.startswith("agent.")}


def outside(names: dict[str, int]) -> set[str]:
    """The libraries among them: neither ours nor Python's own."""
    tops = {name.split(".")[0] for name in names}
    return tops - set(sys.stdlib_module_names) - {"agent", "server"}


@pytest.mark.parametrize("module", PURE)
def test_the_core_imports_records_numpy_and_mathematics_alone(module: str) -> None:
    names = imported(AGENT / f"{module}.py")
    assert own(names) <= PURE[module]
    assert outside(names) <= {"numpy"}
    stdlib = {name.split(".")[0] for name in names} & set(sys.stdlib_module_names)
    assert stdlib <= PURE_STDLIB


@pytest.mark.parametrize("module", PURE)
def test_the_core_reads_no_clock(module: str) -> None:
    tree = ast.parse((AGENT / f"{module}.py").read_text())
    called = {ast.unparse(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
    assert not called & CLOCKS


@pytest.mark.parametrize("module", EDGE)
def test_an_edge_module_has_one_outside_library_and_no_other_edge(module: str) -> None:
    names = imported(AGENT / f"{module}.py")
    assert own(names) <= EDGE_MAY_SHARE | SAME_ROOM.get(module, set())
    assert outside(names) - {"numpy"} <= EDGE[module]


@pytest.mark.parametrize("path", sorted(AGENT.glob("*.py")), ids=lambda path: path.stem)
def test_nothing_imports_the_cli_or_the_server(path: Path) -> None:
    names = imported(path)
    commands = {name for name in own(names) if name.split("_")[0] == "cli"}
    assert "cli" not in commands
    assert not commands or path.stem.split("_")[0] == "cli"
    assert "server" not in {name.split(".")[0] for name in names}


def test_the_server_never_imports_the_agent() -> None:
    for path in (ROOT / "server").rglob("*.py"):
        tops = {name.split(".")[0] for name in imported(path)}
        assert "agent" not in tops, path


def test_watch_never_reaches_the_network_and_sync_never_the_camera() -> None:
    network = {"sync", "transport_mqtt", "transport_http"}
    eyes = {"capture", "landmarks", "models", "controls"}
    assert not reached("watch") & network
    assert not reached("sync") & eyes


def test_a_command_that_does_not_look_loads_no_opencv() -> None:
    """`sync` and `status` among them: it is a quarter of what `sync` would hold for good."""
    imports = "import sys, agent.cli, agent.transport_mqtt, agent.transport_http"
    ran = subprocess.run(
        [sys.executable, "-c", f"{imports}; print(*sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
    )
    assert "cv2" not in ran.stdout.split()


def reached(module: str) -> set[str]:
    """The agent's modules that `module` imports, directly or not."""
    seen: set[str] = set()
    todo = {module}
    while todo:
        name = todo.pop()
        seen.add(name)
        todo |= own(imported(AGENT / f"{name}.py")) - seen
    return seen
