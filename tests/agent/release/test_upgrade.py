"""The installer's unit as systemd tells of it, and the files of the releases."""

import fcntl
from pathlib import Path

import pytest

from agent.release import upgrade
from agent.release.upgrade import Upgrade


@pytest.fixture
def made(tmp_path: Path) -> Upgrade:
    return Upgrade(
        tmp_path / "install.log", tmp_path / "current", tmp_path / "unproven", tmp_path / "lock",
        sleep=lambda _: None,
    )  # fmt: skip


def systemd(monkeypatch, *shown):
    """A systemctl that answers `show` with these, one after the other; what else was asked."""
    asked, answers = [], list(shown)

    def systemctl(*arguments):
        if arguments[0] == "show":
            return answers.pop(0) if len(answers) > 1 else answers[0]
        asked.append(arguments)
        return ""

    monkeypatch.setattr(upgrade, "systemctl", systemctl)
    return asked


@pytest.mark.parametrize(
    ("shown", "status"),
    [
        ("ExecMainStatus=0\nResult=success\n", 0),
        ("ExecMainStatus=3\nResult=exit-code\n", 3),
        ("ExecMainStatus=4\nResult=exit-code\n", 4),
        ("ExecMainStatus=0\nResult=timeout\n", 1),
        ("ExecMainStatus=0\nResult=exec-condition\n", 1),
        ("", 1),
    ],
)
def test_the_exit_status_is_the_installers(made, monkeypatch, shown, status):
    asked = systemd(monkeypatch, "ActiveState=activating", "", "ActiveState=failed", shown)
    assert made.run() == status
    assert ("start", "--no-block", "blinklog-upgrade.service") in asked


def test_what_was_cut_off_is_taken_back_before_the_services_start(made, monkeypatch, tmp_path):
    asked = systemd(monkeypatch, "")
    made.mend()
    assert [each[0] for each in asked] == ["start"]
    (tmp_path / "unproven").touch()
    made.mend()
    assert asked[1] == ("start", "blinklog-undo.service")
    assert asked[2][-2:] == ("blinklog-watch.service", "blinklog-sync.service")


def test_the_reason_is_the_installers_last_word_without_colours(made, tmp_path):
    assert made.last_words() is None
    (tmp_path / "install.log").write_bytes(
        b"x" * 100_000
        + b"\n\x1b[1;33m!! a warning\x1b[0m\n   | more\n\x1b[1;31m!! why \xff\x1b[0m\n"
    )
    assert made.last_words() == "why \N{REPLACEMENT CHARACTER}"


def test_the_version_is_that_of_the_current_release(made, tmp_path):
    assert made.version() is None
    (tmp_path / "current" / "deploy").mkdir(parents=True)
    (tmp_path / "current" / "deploy" / "release").write_text("role=device\nversion=0.2.0\n")
    assert made.version() == "0.2.0"


def test_an_installer_that_somebody_runs_is_noticed(made, tmp_path):
    assert made.nobody_installs()
    with (tmp_path / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert not made.nobody_installs()
    assert made.nobody_installs()


def test_a_systemctl_that_is_not_there_says_nothing(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert upgrade.systemctl("show", "x") == ""
