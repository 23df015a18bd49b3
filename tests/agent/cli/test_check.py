"""`blink-agent check-counting` beside a `watch` that a thread plays."""

import json
import threading
import time
from pathlib import Path

import pytest

from agent.cli import check
from agent.cli.main import main
from agent.store.store import Store
from agent.system.view_file import ViewFile

FOUND = {
    "asked": 10, "found": 9, "false": 0, "look_down": "told_apart", "shut_s": 2.9, "passed": True,
}  # fmt: skip


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("BLINKLOG_AGENT_STORE_PATH", str(tmp_path / "agent.sqlite3"))
    monkeypatch.setenv("RUNTIME_DIRECTORY", str(tmp_path))
    monkeypatch.setattr(check, "lock_owner", lambda *_: 1)
    monkeypatch.setattr(check, "FIRST_S", 1.0)
    monkeypatch.setattr(check, "RESULT_S", 0.5)
    return tmp_path / "agent.sqlite3"


def watch(path: Path, result: dict[str, object] | None) -> None:
    """Take the command, go through two steps, and note the result."""
    store, file = Store(path), ViewFile(path.with_name("check.json"))
    while (command := store.take_command()) is None:
        time.sleep(0.01)
    assert command["command"] == "check"
    for number, step in enumerate(("settle", "blink"), 1):
        file.write({"number": number, "step": step, "blinks_asked": number - 1})
        time.sleep(0.1)
    file.remove()
    if result is not None:
        store.note("check", {"session_id": command["session_id"], **result})
    store.close()


def run(path: Path, result: dict[str, object] | None, *options: str) -> int:
    thread = threading.Thread(target=watch, args=(path, result), daemon=True)
    thread.start()
    status = main(["check-counting", *options])
    thread.join(5)
    return status


def test_it_asks_and_prints_what_was_found(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(path, FOUND) == 0
    lines = capsys.readouterr().out.replace("\a", "").splitlines()
    assert lines[1:] == [
        "BLINK 1/10",
        "9 of 10 blinks found, none false, looking down recognised, eyes shut for 2.9 s",
    ]


def test_as_json(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(path, {**FOUND, "passed": False}, "--json") == 1
    assert json.loads(capsys.readouterr().out)["found"] == 9


def test_a_check_that_was_stopped_has_no_result(
    path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(path, None) == 2
    assert "it was stopped: nothing is kept" in capsys.readouterr().err


def test_a_check_that_does_not_begin_is_given_up(
    path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["check-counting"]) == 2
    assert "is a session running?" in capsys.readouterr().err


def test_without_watch_it_says_so(
    path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(check, "lock_owner", lambda *_: None)
    assert main(["check-counting"]) == 2
    assert "watch is not running" in capsys.readouterr().err
