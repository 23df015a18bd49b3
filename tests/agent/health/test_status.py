"""`blink-agent status`: the state and the unsent sessions, for any process state and any user."""

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from agent.cli import main as cli
from agent.errors import AgentError, DeliveryError
from agent.face.model_files import read_manifest
from agent.health import status
from agent.store.store import Store
from agent.sync import Sync
from tests.agent.documents import document
from tests.agent.folders import let_everybody_in
from tests.agent.servers import until

SOMEBODY = 4242
Run = Callable[..., tuple[int, Any]]


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "state"
    folder.mkdir()
    path = folder / "agent.sqlite3"
    monkeypatch.setenv("BLINKLOG_AGENT_STORE_PATH", str(path))
    return path


@pytest.fixture
def run(path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    """The command's exit status and what it says, with --json read."""
    file = tmp_path / "agent.toml"
    file.touch()

    def run(*arguments: str) -> tuple[int, Any]:
        ended = cli.main(["--config", str(file), "status", *arguments])
        said = capsys.readouterr().out
        return ended, json.loads(said) if arguments else said

    return run


@contextlib.contextmanager
def store(path: Path) -> Iterator[Store]:
    with contextlib.closing(Store(path)) as opened:
        yield opened


SERVICE = """
import sys, time
from pathlib import Path
from agent.system.process_lock import process_lock
with process_lock(Path(sys.argv[1]), sys.argv[2]):
    print("runs", flush=True)
    time.sleep(60)
"""


@contextlib.contextmanager
def service(path: Path, name: str) -> Iterator[int]:
    """Its lock, held by a process of its own."""
    command = [sys.executable, "-c", SERVICE, str(path), name]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        process.stdout.readline()
        yield process.pid
        process.kill()


def test_a_new_device_is_reported_and_no_file_is_made(path: Path, run: Run) -> None:
    ended, report = run("--json")
    assert ended == 0
    assert report["doing"]["state"] == "not running"
    assert report["sessions"] == {"sessions": 0, "pending": 0, "parked": 0, "delivered": 0}
    assert report["database"] == {"path": str(path), "exists": False}
    assert report["device"]["enrolled"] is False
    assert list(path.parent.iterdir()) == []
    assert "not enrolled: sudo blink-agent enrol URL CODE" in run()[1]


def test_versions_and_clock_are_reported(run: Run) -> None:
    report = run("--json")[1]
    assert set(report["versions"]["models"]) == set(read_manifest())
    assert report["versions"]["runtime"].split()[0] in ("ai-edge-litert", "tflite-runtime")
    assert isinstance(report["clock"]["synchronized"], bool)


def test_the_state_follows_from_the_store_and_the_lock(path: Path, run: Run) -> None:
    begun = document(1)
    with store(path) as opened:
        opened.put(begun)
        opened.note("watch", {"state": "measuring", "session_id": begun["session_id"]})
    assert run("--json")[1]["doing"]["state"] == "not running"  # cut off: the note is of before
    with service(path, "watch") as process:
        doing = run("--json")[1]["doing"]
        assert doing["state"] == "measuring"
        assert doing["since"] == begun["started_at"]
        assert (doing["session_id"], doing["watch_process"]) == (begun["session_id"], process)
        assert "measuring since" in run()[1]
        assert doing["activity"] is None
        with store(path) as opened:
            opened.put({**document(2), "session_id": begun["session_id"]})
        assert run("--json")[1]["doing"]["state"] == "finishing"
        with store(path) as opened:
            opened.note("watch", {"state": "ready"})
        assert "idle: press the button" in run()[1]
        with store(path) as opened:
            opened.note("watch", {"state": "fault", "problem": "the disk is full"})
        assert "fault: the disk is full" in run()[1]


def test_the_activity_of_the_running_session_is_reported(path: Path, run: Run) -> None:
    with store(path) as opened:
        opened.put(document(1, activity="talking"))
        opened.note("watch", {"state": "measuring"})
    with service(path, "watch"):
        assert run("--json")[1]["doing"]["activity"] == "talking"
        assert "(talking)" in run()[1]


def test_unsent_sessions_are_reported_with_the_reason_and_the_next_try(
    path: Path, run: Run
) -> None:
    class Way:
        name = "http"
        ask_s = None
        at_once = 8
        listening = False

        def deliver(self, *_: object) -> Any:
            raise DeliveryError("can't be reached", 100)

        def settings(self) -> None:
            return None

        def commands(self) -> list[Any]:
            return []

        def close(self) -> None:
            pass

    waits = document(7)
    with store(path) as opened:
        opened.put(waits)
        Sync(opened, [Way()]).once()
    report = run("--json")[1]
    assert [each["id"] for each in report["waiting"]] == [waits["session_id"]]
    assert report["delivery"]["problem"] == "http: can't be reached"
    assert report["last_contact"] is None
    assert report["next_try"] > report["delivery"]["at"]
    with service(path, "sync"):
        said = run()[1]
    assert f"unsent       {waits['session_id']}" in said
    assert "http: can't be reached" in said
    assert "next try" in said
    assert "does not run" not in said.partition("delivery")[2]


def test_rejected_sessions_are_reported_with_the_servers_reason(path: Path, run: Run) -> None:
    refused = document(7)
    with store(path) as opened:
        opened.put(refused)
        opened.park(refused["session_id"], 7, "blinks: expected columns of one length")
    (parked,) = run("--json")[1]["parked"]
    assert (parked["id"], parked["reason"]) == (
        refused["session_id"],
        "blinks: expected columns of one length",
    )
    assert f"refused      {refused['session_id']}: blinks: expected" in run()[1]


def test_the_last_check_of_the_counting_is_reported(path: Path, run: Run) -> None:
    found = {"asked": 10, "found": 7, "false": 0, "look_down": "told_apart", "shut_s": 3.0}
    facts = {"started_at": "2026-11-22T10:00:00.000Z", "agent": {"version": "0", "model": "x"}}
    with store(path) as opened:
        opened.note("check", {**facts, **found, "passed": False})
    _, report = run("--json")
    assert (report["check"]["found"], report["check_doubt"]) == (7, "failed")
    _, text = run()
    assert (
        "counting     7 of 10 blinks found, none false, looking down recognised, eyes shut for 3 s"
        in text
    )
    assert "this check FAILED" in text


def test_a_past_next_try_is_reported_as_now(path: Path, run: Run) -> None:
    with store(path) as opened:
        note = {"ok": False, "problem": "http: no", "next_try": "2020-01-01T00:00:00+00:00"}
        opened.note("delivery", note)
    report = run("--json")[1]
    assert report["next_try"][:10] == report["clock"]["now"][:10]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else")
def test_without_read_permission_sudo_is_suggested(path: Path, run: Run) -> None:
    let_everybody_in(path.parent)
    with store(path):
        pass
    path.parent.chmod(0o700)
    os.seteuid(SOMEBODY)
    try:
        ended, said = run()
    finally:
        os.seteuid(0)
    assert ended == 1
    assert "no permission: sudo blink-agent status" in said
    assert "doing        this user may not see it" in said
    assert "does not run" not in said


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else")
def test_root_leaves_no_file_that_locks_the_services_out(path: Path, run: Run) -> None:
    let_everybody_in(path.parent)
    os.chown(path.parent, SOMEBODY, SOMEBODY)
    assert cli.main(["start"]) == 1  # nobody is there to obey it
    assert run()[0] == 0
    assert {each.stat().st_uid for each in path.parent.iterdir()} == {SOMEBODY}


def test_a_silent_systemd_is_reported(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def silent() -> Any:
        raise AgentError("systemctl did not answer within 5 s")

    monkeypatch.setattr(status, "units", silent)
    ended, report = run("--json")
    assert (ended, report["units"]) == (0, {"problem": "systemctl did not answer within 5 s"})


def test_delivery_waits_for_enrolment_and_says_so(path: Path, run: Run, tmp_path: Path) -> None:
    config = str(tmp_path / "agent.toml")
    assert run()[0] == 0  # makes it
    command = [sys.executable, "-m", "agent.cli.main", "--config", config, "sync"]
    sync = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    try:
        until(lambda: run("--json")[1]["delivery"], "sync has noted that it waits")
        report = run("--json")[1]
        assert report["delivery"]["enrolled"] is False
        assert report["doing"]["sync_process"] == sync.pid
        assert "run blink-agent enrol" in run()[1]
        sync.send_signal(signal.SIGTERM)
        assert sync.wait(10) == 0
    finally:
        sync.kill()
        sync.wait()


def test_the_real_watch_is_followed_through_a_session(
    path: Path, run: Run, tmp_path: Path, model_cache: Path
) -> None:
    video = tmp_path / "grey.avi"
    writer = cv2.VideoWriter(str(video), cv2.VideoWriter.fourcc(*"MJPG"), 15, (160, 120))
    for _ in range(30):
        writer.write(np.full((120, 160, 3), 127, np.uint8))
    writer.release()
    (tmp_path / "agent.toml").write_text(
        f'[camera]\nsource = "replay"\nloop = true\nfile = "{video}"\n'
        f'[controls]\npins = "none"\n[model]\ncache = "{model_cache}"\n'
    )
    command = [sys.executable, "-m", "agent.cli.main", "--config", str(tmp_path / "agent.toml")]
    watch = subprocess.Popen([*command, "watch"], stderr=subprocess.DEVNULL)

    def doing() -> str:
        return str(run("--json")[1]["doing"]["state"])

    try:
        until(lambda: doing() == "ready", "watch is ready")
        assert cli.main(["start"]) == 0
        until(lambda: doing() == "measuring", "it measures")
        assert cli.main(["stop"]) == 0
        until(lambda: doing() == "ready", "it is ready again")
        watch.send_signal(signal.SIGTERM)
        assert watch.wait(10) == 0
        assert doing() == "not running"
    finally:
        watch.kill()
        watch.wait()
