"""`blink-agent enrol` against a real HTTP server: files, messages, no damage on failure."""

import contextlib
import json
import os
import shutil
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from agent.cli import join
from agent.enrol.claim import checked_code, checked_url
from agent.errors import ConfigError
from agent.store.store import Store
from agent.system import systemd
from tests.agent.documents import document
from tests.agent.enrol.box import CODE, DEVICE, PERSONS_OWN, Box, identity, keep, mode
from tests.agent.folders import let_everybody_in
from tests.agent.servers import TOKEN, Api
from tests.releases import key_pair

# What is written


def test_a_code_assigns_the_device_to_a_person(box: Box, api: Api) -> None:
    api.codes[CODE] = identity(mqtt_password="a-long-password", mqtt_url="mqtts://broker.test")
    status, said = box.run("enrol", f"{api.url}/", "abcd-23 45")
    assert status == 0, said
    assert box.values() == {
        "camera": {"source": "usb"},
        "server": {"timeout_s": 2, "url": api.url, "device": DEVICE},
        "mqtt": {"host": "broker.test", "port": 8883, "tls": True},
    }
    assert PERSONS_OWN in box.file.read_text()
    files = box.files()
    assert set(files) == {"agent.toml", "api-token", "mqtt-password"}
    assert (files["api-token"], files["mqtt-password"]) == (f"{TOKEN}\n", "a-long-password\n")
    assert mode(box.folder / "api-token") == mode(box.folder / "mqtt-password") == 0o600
    assert mode(box.file) & 0o444 == 0o444
    assert "Kitchen" in said
    assert "accepts this device's token" in said
    assert TOKEN not in said
    assert "a-long-password" not in said
    assert api.requests == [("POST", "/api/device/claim/"), ("OPTIONS", "/api/session/start/")]


def test_a_missing_configuration_is_created(box: Box, api: Api) -> None:
    box.file.unlink()
    assert box.run("enrol", api.url, CODE)[0] == 0
    assert box.values() == {"server": {"url": api.url, "device": DEVICE}}


def test_earlier_sessions_are_delivered_afterwards(box: Box, api: Api) -> None:
    before = document(7)
    keep(before)
    assert box.run("sync", "--once")[0] == 1
    assert box.run("enrol", api.url, CODE)[0] == 0
    assert box.run("sync", "--once")[0] == 0
    assert api.history.documents == {before["session_id"]: before}
    report = json.loads(box.run("status", "--json")[1])
    assert report["last_contact"] is not None
    assert report["next_try"] is None


def test_secrets_go_where_the_configuration_says(box: Box, api: Api) -> None:
    named = box.folder.parent / "named-token"
    box.file.write_text(f'[server]\ntoken_file = "{named}"\n')
    assert box.run("enrol", api.url, CODE)[0] == 0
    assert named.read_text() == f"{TOKEN}\n"
    assert mode(named) == 0o600
    assert not (box.folder / "api-token").exists()


def test_a_server_without_a_broker_leaves_none_configured(box: Box, api: Api) -> None:
    box.file.write_text('[mqtt]\nhost = "old.test"\n[server]\ndevice = "old"\nurl = "http://old"\n')
    (box.folder / "mqtt-password").write_text("old")
    assert box.run("enrol", api.url, CODE, "--again")[0] == 0
    assert "host" not in box.values().get("mqtt", {})
    assert "mqtt-password" not in box.files()


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("mqtt://broker.test", "does not use TLS"),
        ("https://broker.test", "expected mqtts://"),
        (17, "the broker's address is invalid"),
    ],
)
def test_an_unusable_broker_is_left_out_and_the_identity_kept(
    box: Box, api: Api, url: Any, says: str
) -> None:
    api.codes[CODE] = identity(mqtt_url=url, mqtt_password="a-long-password")
    status, said = box.run("enrol", api.url, CODE)
    assert status == 0
    assert says in said
    assert "host" not in box.values().get("mqtt", {})


def test_a_wrong_clock_is_reported(box: Box, api: Api) -> None:
    long_ago = (datetime.now(UTC) - timedelta(days=3)).isoformat()
    api.codes[CODE] = identity(server_time=long_ago)
    assert "clock is 2592" in box.run("enrol", api.url, CODE)[1]


def test_a_refused_token_is_reported(box: Box, api: Api) -> None:
    api.codes[CODE] = identity(token="bld_of_somebody_else")
    status, said = box.run("enrol", api.url, CODE)
    assert status == 0
    assert "refuses this device's token (401)" in said


# What is refused before the code is spent


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("blinklog.example.org", "expected https://"),
        ("http://blinklog.example.org", "--insecure"),
        ("https://anna:secret@blinklog.example.org", "expected only https://host"),
        ("https://blinklog.example.org/?a=b", "expected only https://host"),
        ("https://host:port", "the address"),
        ("https://", "expected https://"),
        ("mqtts://broker", "expected https://"),
    ],
)
def test_an_address_must_be_https(url: str, says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        checked_url(url)


def test_http_is_allowed_on_this_machine_or_with_insecure() -> None:
    for url in ("http://localhost:8000", "http://127.0.0.1:8000", "http://[::1]:8000"):
        assert checked_url(url) == url
    assert checked_url("http://192.168.0.2/", insecure=True) == "http://192.168.0.2"


@pytest.mark.parametrize("code", ["", "ABCD234", "ABCD23456", "ABCD234O", "ABCD2340", "ÄBCD2345"])
def test_an_invalid_code_is_refused_locally(code: str) -> None:
    with pytest.raises(ConfigError, match="expected 8 letters and digits, never 0, O, 1 or I"):
        checked_code(code)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[camera]\nfsp = 3\n", "did you mean 'fps'?"),
        ("[camera\n", "is not TOML"),
        ("server = 3\n", "expected a section [server]"),
    ],
)
def test_an_uneditable_configuration_does_not_use_up_the_code(
    box: Box, api: Api, text: str, says: str
) -> None:
    box.file.write_text(text)
    status, said = box.run("enrol", api.url, CODE)
    assert status == 1
    assert says in said
    assert box.files() == {"agent.toml": text}
    assert api.requests == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else")
def test_without_write_permission_sudo_is_suggested(box: Box, api: Api) -> None:
    let_everybody_in(box.folder)
    os.seteuid(4242)
    try:
        status, said = box.run("enrol", api.url, CODE)
    finally:
        os.seteuid(0)
    assert status == 1
    assert "can't be written: Permission denied: use sudo" in said
    assert api.requests == []


def test_a_full_disk_does_not_use_up_the_code(box: Box, api: Api) -> None:
    disk = box.folder / "disk"
    disk.mkdir()
    options = ["-t", "tmpfs", "-o", "size=128k,mode=0755", "tmpfs", str(disk)]
    if subprocess.run(["mount", *options], capture_output=True, check=False).returncode:
        pytest.skip("a small disk can't be mounted without being root")
    try:
        box.file = disk / "agent.toml"
        status, said = box.run("enrol", api.url, CODE)
        assert "No space left on device" in said
        assert status == 1
        assert list(disk.iterdir()) == []
        assert api.requests == []
    finally:
        subprocess.run(["umount", "--lazy", str(disk)], check=True)


# Again


def test_an_identity_is_replaced_only_with_again(box: Box, api: Api) -> None:
    assert box.run("enrol", api.url, CODE)[0] == 0
    api.codes["WXYZ6789"] = identity(device=DEVICE.replace("1b2", "fff"), token="bld_9876543210")
    status, said = box.run("enrol", api.url, "WXYZ6789")
    assert status == 1
    assert f"it is {DEVICE} at {api.url}; --again" in said
    assert box.run("enrol", api.url, "WXYZ6789", "--again")[0] == 0
    assert box.values()["server"]["device"] == DEVICE.replace("1b2", "fff")
    assert box.files()["api-token"] == "bld_9876543210\n"


def test_unsent_sessions_never_go_to_another_person_by_accident(box: Box, api: Api) -> None:
    assert box.run("enrol", api.url, CODE)[0] == 0
    keep(document(7), document(7))
    api.codes["WXYZ6789"] = identity()
    before = box.files()
    status, said = box.run("enrol", api.url, "WXYZ6789", "--again")
    assert status == 1
    assert "2 sessions of the person this device belongs to now are not delivered" in said
    assert box.files() == before
    assert "WXYZ6789" in api.codes

    assert box.run("enrol", api.url, "WXYZ6789", "--again", "--same-person")[0] == 0


@pytest.mark.parametrize("same", [False, True])
def test_a_check_of_the_counting_is_of_one_person(box: Box, api: Api, same: bool) -> None:
    assert box.run("enrol", api.url, CODE)[0] == 0
    with contextlib.closing(Store(Path(os.environ["BLINKLOG_AGENT_STORE_PATH"]))) as store:
        store.note("check", {"found": 10})
        api.codes["WXYZ6789"] = identity()
        again = ["--again", "--same-person"] if same else ["--again"]
        assert box.run("enrol", api.url, "WXYZ6789", *again)[0] == 0
        assert store.noted("check") == ({"found": 10} if same else None)


def test_nor_is_it_the_next_one_s_after_a_code(box: Box, api: Api) -> None:
    assert box.run("enrol", api.url, CODE)[0] == 0
    with contextlib.closing(Store(Path(os.environ["BLINKLOG_AGENT_STORE_PATH"]))) as store:
        store.note("check", {"found": 10})
        join._enrolled(box.file)
        assert store.noted("check") is None


# The key of releases


def test_the_key_of_releases_is_pinned_with_the_identity(
    box: Box, api: Api, tmp_path: Path
) -> None:
    _, key = key_pair(tmp_path)
    api.codes[CODE] = identity(release_key=key)
    assert box.run("enrol", api.url, CODE)[0] == 0
    assert box.files()["release-key.pem"] == key
    assert mode(box.folder / "release-key.pem") == 0o644


@pytest.mark.parametrize("key", [None, "nonsense", 5])
def test_without_a_usable_key_none_is_pinned(box: Box, api: Api, key: object) -> None:
    api.codes[CODE] = identity(release_key=key)
    assert box.run("enrol", api.url, CODE)[0] == 0
    assert "release-key.pem" not in box.files()


def test_the_same_server_can_t_replace_the_key_and_another_one_brings_its_own(
    box: Box, api: Api, tmp_path: Path
) -> None:
    _, key = key_pair(tmp_path)
    _, other = key_pair(tmp_path, "other")
    api.codes[CODE] = identity(release_key=key)
    assert box.run("enrol", api.url, CODE)[0] == 0
    for told in (other, None):
        api.codes["WXYZ6789"] = identity(release_key=told)
        status, said = box.run("enrol", api.url, "WXYZ6789", "--again")
        assert status == 0
        assert "another key for releases than this device trusts" in said
        assert box.files()["release-key.pem"] == key
    elsewhere = api.url.replace("127.0.0.1", "localhost")
    api.codes["WXYZ6789"] = identity(release_key=other)
    assert box.run("enrol", elsewhere, "WXYZ6789", "--again")[0] == 0
    assert box.files()["release-key.pem"] == other
    api.codes["WXYZ6789"] = identity()
    assert box.run("enrol", api.url, "WXYZ6789", "--again")[0] == 0
    assert "release-key.pem" not in box.files(), "the key of a former server"


# systemd


@pytest.fixture
def systemctl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A systemctl that answers for an enabled service and writes down what it is told."""
    folder = tmp_path / "bin"
    folder.mkdir()
    program = folder / "systemctl"
    said = "LoadState=loaded\\nActiveState=active\\nUnitFileState=enabled\\n"
    program.write_text(
        f'#!/bin/sh\necho "$@" >> {folder}/told\n[ "$1" = show ] && printf "{said}"\nexit 0\n'
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    monkeypatch.setattr(systemd, "SYSTEMD", tmp_path)
    assert shutil.which("systemctl") == str(program)
    return folder / "told"


def test_delivery_is_restarted_by_systemd(systemctl: Path) -> None:
    assert systemd.restart(systemd.SYNC) == "blinklog-sync.service restarted"
    assert systemctl.read_text().splitlines()[-1] == "restart blinklog-sync.service"


def test_without_systemd_the_user_is_asked_to_restart_delivery(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(systemd, "SYSTEMD", tmp_path / "none")
    assert "start blink-agent sync yourself" in systemd.restart(systemd.SYNC)
