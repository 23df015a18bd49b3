"""`blink-agent sessions` and `status` list a full store with the memory of a few sessions."""

import contextlib
import io
import json
import tracemalloc
from pathlib import Path
from typing import Any

import pytest

from agent.cli import main as cli
from agent.store.store import Store
from tests.agent.documents import document, ids


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "agent.sqlite3"
    monkeypatch.setenv("BLINKLOG_AGENT_STORE_PATH", str(path))
    (tmp_path / "agent.toml").touch()
    return path


def filled(path: Path, count: int, numbers: int = 0) -> list[dict[str, Any]]:
    """The documents, newest first. Each has a list of so many numbers, which JSON makes long."""
    made = [
        document(7, blinks={"at_s": [number / 8 for number in range(numbers)]})
        for _ in range(count)
    ]
    with contextlib.closing(Store(path)) as store:
        for each in made:
            store.put(each)
        for each in made[: count // 2]:
            store.park(each["session_id"], 7, "no")
    return made[::-1]


def said(path: Path, *arguments: str) -> str:
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        assert cli.main(["--config", str(path.with_name("agent.toml")), *arguments]) == 0
    return out.getvalue()


@pytest.mark.parametrize("count", [0, 1, 3])
def test_the_list_as_json_is_the_documents_newest_first(path: Path, count: int) -> None:
    made = filled(path, count)
    assert said(path, "sessions", "--json") == json.dumps(made, indent=2) + "\n"


def test_the_list_has_a_line_for_each_session(path: Path) -> None:
    made = filled(path, 3)
    lines = said(path, "sessions").splitlines()
    assert [line.split()[-1] for line in lines] == ids(made)
    assert [line.split()[-2] for line in lines] == ["pending", "pending", "refused"]


def test_a_start_may_name_the_activity(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = ["--config", str(path.with_name("agent.toml"))]
    cli.main([*config, "start", "--activity", "eating"])
    with contextlib.closing(Store(path)) as store:
        assert (store.take_command() or {})["activity"] == "eating"
    with pytest.raises(SystemExit):
        cli.main([*config, "start", "--activity", "sleeping"])
    assert "reading" in capsys.readouterr().err


class Nowhere(io.StringIO):
    """Takes what is printed, and keeps none of it."""

    def write(self, text: str) -> int:
        return len(text)


@pytest.mark.parametrize("arguments", [["sessions"], ["sessions", "--json"], ["status", "--json"]])
def test_a_full_store_is_listed_with_the_memory_of_a_few_sessions(
    path: Path, arguments: list[str]
) -> None:
    filled(path, 100, numbers=5000)
    said(path, *arguments)  # what is imported first is not counted
    tracemalloc.start()
    try:
        with contextlib.redirect_stdout(Nowhere()):
            cli.main(["--config", str(path.with_name("agent.toml")), *arguments])
        peak_mb = tracemalloc.get_traced_memory()[1] / 1e6
    finally:
        tracemalloc.stop()
    assert peak_mb < 4, "parsed, all at once are 17 MB"
