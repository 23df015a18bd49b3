"""What systemd hears."""

import socket
from pathlib import Path

import pytest

from agent.system import systemd


def test_systemd_hears_ready_alive_status_and_stopping(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as heard:
        heard.bind(str(tmp_path / "notify"))
        heard.settimeout(5)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        systemd.ready()
        systemd.watchdog()
        systemd.status("measuring")
        systemd.stopping()
        messages = [heard.recv(100) for _ in range(4)]
        assert messages == [b"READY=1", b"WATCHDOG=1", b"STATUS=measuring", b"STOPPING=1"]
        systemd.long_step()
        assert heard.recv(100) == b"WATCHDOG=1"
        assert heard.recv(100) == b"EXTEND_TIMEOUT_USEC=60000000", "also while it starts"


def test_an_abstract_socket_is_understood(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as heard:
        heard.bind("\0blinklog-test-notify")
        heard.settimeout(5)
        monkeypatch.setenv("NOTIFY_SOCKET", "@blinklog-test-notify")
        systemd.ready()
        assert heard.recv(100) == b"READY=1"


def test_a_systemd_that_does_not_listen_ends_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "nobody"))
    systemd.watchdog()


def test_without_systemd_nothing_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    systemd.ready()
