"""`blinklog.toml` on the boot partition: taken at the next start, removed, faults named."""

import os
import re
from pathlib import Path

import pytest

from agent.enrol import boot_file
from agent.enrol.codes import ServerCode, WifiCode
from agent.errors import ConfigError
from agent.health import status_text
from agent.system.handover import read_answer
from tests.agent.enrol.box import CODE
from tests.agent.enrol.network import Device, Network, device, network
from tests.agent.servers import Api

__all__ = ["device", "network"]

WIFI = """\
[wifi]
ssid = "Anna;s home"
password = 'correct horse\\ battery'
"""


def server(api: Api) -> str:
    return f'[server]\naddress = "{api.url}/"\ncode = "{CODE[:4].lower()}-{CODE[4:]}"\n'


def test_both_are_taken_and_the_file_is_removed(device: Device, network: Network, api: Api) -> None:
    answer = device.start(WIFI + server(api))
    assert (answer.outcome, answer.source) == ("enrolled", "boot file")
    assert len(network.joined()) == 1
    assert list(device.boot.iterdir()) == []
    device.joining().run()
    assert device.enrolments == 1


def test_the_code_s_whole_text_does_as_well(device: Device, api: Api) -> None:
    text = f'[server]\ncode = "blinklog:1;U:{api.url};C:{CODE}"\n'
    assert device.start(text).outcome == "enrolled"


def test_a_file_as_windows_writes_it_is_read(tmp_path: Path) -> None:
    file = tmp_path / "blinklog.toml"
    file.write_bytes(b"\xef\xbb\xbf[wifi]\r\nssid = 'home'\r\npassword = '12345678'\r\n")
    assert boot_file.read(file) == boot_file.BootFile(WifiCode(b"home", "wpa", "12345678"), None)


def test_the_kinds_of_networks(tmp_path: Path) -> None:
    file = tmp_path / "blinklog.toml"
    file.write_text('[wifi]\nssid = "home"\nhidden = true\n')
    assert boot_file.read(file).wifi == WifiCode(b"home", "open", hidden=True)
    file.write_text('[wifi]\nssid = "home"\npassword = "pass"\nsecurity = "sae"\n')
    assert boot_file.read(file).wifi == WifiCode(b"home", "sae", "pass")


def test_fingerprints_can_be_given_by_themselves(tmp_path: Path) -> None:
    file = tmp_path / "blinklog.toml"
    file.write_text(
        f'[server]\naddress = "https://x"\ncode = "{CODE}"\nca_fingerprint = "{"a" * 22}"\n'
    )
    assert boot_file.read(file).server == ServerCode("https://x", CODE, "a" * 22)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ("", "expected [wifi] or [server], found neither"),
        ("[wlan]\nssid = 'x'", "unknown section [wlan]"),
        ("wifi = 'home'", "unknown section [wifi]"),
        ("[wifi]\nsid = 'x'", "unknown key 'sid' in [wifi]: expected ssid, password, hidden"),
        ("[wifi]\nssid = 5", "wifi.ssid: expected text in quotes"),
        ("[wifi]\nssid = 'x'\nhidden = 'yes'", "wifi.hidden: expected true or false"),
        ("[wifi]\nssid = 'x'\npassword = 'secret'", "expected 8 to 63 characters, found 6"),
        ("[wifi]\nssid = 'x'\nsecurity = 'wep'", "wifi.security: expected open, wpa or sae"),
        ("[wifi]\npassword = secret secret", "invalid TOML (at line 2, column 12)"),
        ("[server]\ncode = 'ABCD2345'", "server.address: expected https://…, found none"),
        ("[server]\ncode = 'blinklog:9;x'", "version '9'"),
        ("[server]\naddress = 'https://x'\ncode = 'short'", "eight letters and digits"),
        ("#" * 20_000, "expected at most 16384 bytes"),
    ],
)
def test_a_bad_key_is_named_and_the_file_removed_all_the_same(
    device: Device, content: str, why: str
) -> None:
    answer = device.start(content)
    assert answer.outcome == "failed"
    assert why in str(answer.problem)
    assert "secret" not in str(answer.problem)
    assert list(device.boot.iterdir()) == []


def test_a_network_that_can_t_be_joined_keeps_the_code_valid(device: Device, api: Api) -> None:
    answer = device.start('[wifi]\nssid = "elsewhere"\n' + server(api))
    assert (answer.outcome, answer.problem) == ("failed", "there is no such network in reach")
    assert CODE in api.codes


def test_a_file_that_is_no_text_is_said(tmp_path: Path) -> None:
    file = tmp_path / "blinklog.toml"
    file.write_bytes(b"\xff\xfe[\x00w\x00")
    with pytest.raises(ConfigError, match="expected UTF-8: byte 0"):
        boot_file.read(file)


def test_the_password_is_overwritten_before_the_file_is_deleted(
    device: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    left: list[bytes] = []
    unlink = Path.unlink

    def look(path: Path, missing_ok: bool = False) -> None:
        if path.name == boot_file.NAME:
            left.append(path.read_bytes())
        unlink(path, missing_ok=missing_ok)

    monkeypatch.setattr(Path, "unlink", look)
    device.start(WIFI)
    assert [set(each) for each in left] == [{0}]


def test_a_card_that_can_t_be_written_is_said(
    device: Device, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def read_only(_: Path) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(boot_file, "remove", read_only)
    assert device.start(WIFI).outcome == "joined"
    assert "holds a password and can't be removed: Read-only file system" in caplog.text


@pytest.mark.parametrize("kind", ["link", "second name", "fifo"])
def test_what_is_no_file_of_its_own_is_neither_read_nor_overwritten(
    device: Device, network: Network, tmp_path: Path, kind: str
) -> None:
    other = tmp_path / "other"
    other.write_text(WIFI)
    path = device.boot / boot_file.NAME
    if kind == "link":
        path.symlink_to(other)
    elif kind == "second name":
        path.hardlink_to(other)
    else:
        os.mkfifo(path)
    device.joining().run()
    assert network.joined() == []
    assert other.read_text() == WIFI
    assert kind == "fifo" or list(device.boot.iterdir()) == []


@pytest.mark.parametrize(("mode", "uid"), [(0o646, 0), (0o664, 0), (0o644, 1)])
def test_a_file_that_others_can_write_chooses_nothing(
    device: Device, network: Network, mode: int, uid: int
) -> None:
    path = device.boot / boot_file.NAME
    path.write_text(WIFI)
    path.chmod(mode)
    if uid:
        if os.geteuid() != 0:
            pytest.skip("only root gives a file away")
        os.chown(path, uid, uid)
    device.joining().run()
    answer = read_answer(device.answers)
    assert answer is not None
    assert "expected a file that only root can write" in str(answer.problem)
    assert network.joined() == []
    assert list(device.boot.iterdir()) == []


def test_status_says_what_became_of_it() -> None:
    setup = {
        "source": "boot file",
        "outcome": "failed",
        "problem": "unknown key 'sid'",
        "at": "2026-11-30T10:00:00+00:00",
    }
    told = status_text._setup(setup)
    assert re.fullmatch(r"boot file \(2026-11-30 .*\): failed: unknown key 'sid'", told)
