"""Files that change together: all of them, or none."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from agent.errors import AgentError
from agent.files import FileTransaction


def content(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in folder.iterdir()}


def test_all_appear_at_the_end_and_not_before(tmp_path: Path) -> None:
    secret, config = tmp_path / "secret", tmp_path / "config"
    config.write_text("old, and longer than the new one")
    with FileTransaction({secret: 0o600, config: 0o644}) as files:
        files.write(secret, b"s")
        files.write(config, b"new")
        assert not secret.exists()
        assert config.read_text().startswith("old")
    assert content(tmp_path) == {"secret": "s", "config": "new"}
    assert (secret.stat().st_mode & 0o777, config.stat().st_mode & 0o777) == (0o600, 0o644)


def test_what_is_not_written_stays_and_what_is_removed_goes(tmp_path: Path) -> None:
    (tmp_path / "kept").write_text("old")
    (tmp_path / "gone").write_text("old")
    modes = {tmp_path / name: 0o600 for name in ("kept", "gone", "never")}
    with FileTransaction(modes) as files:
        files.remove(tmp_path / "gone")
    assert content(tmp_path) == {"kept": "old"}


@pytest.mark.parametrize("fault", [ValueError(), KeyboardInterrupt(), AgentError("no")])
def test_a_failure_leaves_everything_as_it_was(tmp_path: Path, fault: BaseException) -> None:
    (tmp_path / "config").write_text("old")

    def write() -> None:
        with FileTransaction({tmp_path / "secret": 0o600, tmp_path / "config": 0o644}) as files:
            files.write(tmp_path / "secret", b"s")
            files.write(tmp_path / "config", b"new")
            files.remove(tmp_path / "config")
            raise fault

    with pytest.raises(type(fault)):
        write()
    assert content(tmp_path) == {"config": "old"}


CUT_OFF = """
import os, signal, sys
from pathlib import Path
from agent.files import FileTransaction
folder = Path(sys.argv[1])
with FileTransaction({folder / "secret": 0o600, folder / "config": 0o644}) as files:
    files.write(folder / "secret", b"s")
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_one_that_was_cut_off_is_not_in_the_way_of_the_next(tmp_path: Path) -> None:
    (tmp_path / "config").write_text("old")
    done = subprocess.run([sys.executable, "-c", CUT_OFF, str(tmp_path)], check=False)
    assert done.returncode == -signal.SIGKILL
    assert (tmp_path / "config").read_text() == "old"
    assert not (tmp_path / "secret").exists()
    modes = {tmp_path / "secret": 0o600, tmp_path / "config": 0o644}
    with FileTransaction(modes) as files:
        files.write(tmp_path / "secret", b"s")
    assert content(tmp_path) == {"config": "old", "secret": "s"}


def test_two_at_once_are_not_in_each_others_way(tmp_path: Path) -> None:
    modes = {tmp_path / "config": 0o644}
    with FileTransaction(modes) as first:
        with (
            pytest.raises(AgentError, match="another process is changing files here"),
            FileTransaction(modes),
        ):
            pytest.fail("the first one's room would be lost")
        first.write(tmp_path / "config", b"first")
    with FileTransaction(modes) as second:
        second.write(tmp_path / "config", b"second")
    assert content(tmp_path) == {"config": "second"}


def test_a_place_that_cannot_be_written_is_said_at_once(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with (
        pytest.raises(AgentError, match=r"file: can't be written: File exists"),
        FileTransaction({tmp_path / "ok": 0o600, tmp_path / "file" / "config": 0o644}),
    ):
        pytest.fail("nothing may be done that can't be undone")
    assert content(tmp_path) == {"file": ""}


def test_a_link_stays_a_link_and_the_owner_the_owner(tmp_path: Path) -> None:
    real, link = tmp_path / "real", tmp_path / "link"
    real.write_text("old")
    link.symlink_to(real)
    if os.geteuid() == 0:
        os.chown(real, 4242, 4242)
    owner = real.stat().st_uid
    with FileTransaction({link: 0o644}) as files:
        files.write(link, b"new")
    assert link.is_symlink()
    assert (real.read_text(), real.stat().st_uid) == ("new", owner)
