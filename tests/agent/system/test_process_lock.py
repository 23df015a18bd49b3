"""Who runs: known for as long as they live, however they end."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from agent.errors import AgentError
from agent.system.process_lock import lock_owner, process_lock

SERVICE = """
import sys, time
from pathlib import Path
from agent.system.process_lock import process_lock
with process_lock(Path(sys.argv[1]), "watch"):
    print("runs", flush=True)
    time.sleep(60)
"""


def service(store: Path) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", SERVICE, str(store)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "runs\n"
    return process


def test_a_service_is_known_until_it_ends_however_it_ends(tmp_path: Path) -> None:
    store = tmp_path / "agent.sqlite3"
    assert lock_owner(store, "watch") is None
    with service(store) as process:
        assert lock_owner(store, "watch") == process.pid
        assert lock_owner(store, "sync") is None
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert lock_owner(store, "watch") is None


def test_a_second_one_is_told_of_the_first(tmp_path: Path) -> None:
    store = tmp_path / "agent.sqlite3"
    with service(store) as process:
        with (
            pytest.raises(
                AgentError, match=f"blink-agent watch is already running here.*{process.pid}"
            ),
            process_lock(store, "watch"),
        ):
            pass
        process.kill()


def test_asking_is_never_in_the_way(tmp_path: Path) -> None:
    store = tmp_path / "agent.sqlite3"
    with process_lock(store, "watch"):
        pass
    assert lock_owner(store, "watch") is None
    with process_lock(store, "watch"), process_lock(store, "sync"):
        pass


def test_no_place_for_the_lock_keeps_nobody_from_working(tmp_path: Path) -> None:
    with process_lock(tmp_path / "nowhere" / "agent.sqlite3", "watch"):
        pass
