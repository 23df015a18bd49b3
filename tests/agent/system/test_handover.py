"""A code goes from `watch` to root by a file that nobody else reads, and is gone once taken."""

import json
import os
import stat
from pathlib import Path

import pytest

from agent.system.handover import (
    LONGEST_REQUEST,
    REQUEST,
    Answer,
    Requests,
    read_answer,
    take_request,
    write_answer,
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "requests"
    made.mkdir()
    return made


def test_a_request_is_taken_once_and_answered_under_its_id(folder: Path, tmp_path: Path) -> None:
    requests = Requests(folder, tmp_path)
    request_id = requests.send("WIFI:S:home;T:WPA;P:secret99;;")
    assert stat.S_IMODE((folder / REQUEST).stat().st_mode) == 0o600
    assert requests.answer(request_id) is None
    taken = take_request(folder)
    assert taken is not None
    assert (taken.id, taken.text) == (request_id, "WIFI:S:home;T:WPA;P:secret99;;")
    assert list(folder.iterdir()) == []
    assert take_request(folder) is None
    write_answer(Answer(request_id, "failed", "wrong password"), tmp_path)
    assert requests.answer(request_id) == Answer(request_id, "failed", "wrong password")
    assert requests.answer("another") is None
    assert "secret99" not in (tmp_path / "answer.json").read_text()


def test_a_request_that_nobody_took_is_withdrawn(folder: Path, tmp_path: Path) -> None:
    requests = Requests(folder, tmp_path)
    requests.send("text")
    (folder / f".{REQUEST}").write_text("half of the next")
    requests.withdraw()
    assert list(folder.iterdir()) == []
    requests.withdraw()


@pytest.mark.parametrize(
    "content",
    ["", "{", "[]", "{}", '{"id": 1, "text": "x"}', '{"id": "x"}', "x" * (LONGEST_REQUEST + 1)],
)
def test_what_is_no_request_is_removed_and_not_used(folder: Path, content: str) -> None:
    (folder / REQUEST).write_text(content)
    assert take_request(folder) is None
    assert list(folder.iterdir()) == []


def test_root_follows_no_link_and_waits_for_no_fifo(folder: Path, tmp_path: Path) -> None:
    secret = tmp_path / "shadow"
    secret.write_text(json.dumps({"id": "1", "text": "root's own"}))
    (folder / REQUEST).symlink_to(secret)
    assert take_request(folder) is None
    os.link(secret, folder / REQUEST)
    assert take_request(folder) is None
    os.mkfifo(folder / REQUEST)
    assert take_request(folder) is None
    (folder / REQUEST / "deeper").mkdir(parents=True)
    (folder / REQUEST / "deeper" / "link").symlink_to(secret.parent)
    assert take_request(folder) is None, "what stays would start the service again and again"
    assert list(folder.iterdir()) == []
    assert secret.exists()


@pytest.mark.parametrize("content", ["", "[]", '{"outcome": "won"}', '{"id": "1"}'])
def test_what_is_no_answer_is_none(tmp_path: Path, content: str) -> None:
    (tmp_path / "answer.json").write_text(content)
    assert read_answer(tmp_path) is None
