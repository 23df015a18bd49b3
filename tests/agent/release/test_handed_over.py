"""What the root service refuses, whatever sync hands over."""

import hashlib
import json
import os
import tarfile

import pytest

from agent.release import handover
from agent.release.handover import Request, send
from agent.release.signature import Signed
from server.releases import packing, signing
from tests.releases import archive, house, signed, tar_of


def handed_over(device, content):
    """Root's outcome for a properly signed request with another archive."""
    wanted = device.server.wanted
    device.inbox.mkdir(exist_ok=True)
    sha256 = json.loads(wanted["manifest"])["sha256"]
    path = device.inbox / f"{sha256}.tar"
    path.unlink(missing_ok=True)
    content(path)
    send(Request("by hand", Signed(wanted["manifest"], wanted["signature"]), ()), device.inbox)
    device.root().run()
    assert device.installer.began == []
    assert not (device.office / "work").exists()
    return device.outcome.state, device.outcome.code


def test_an_archive_that_changed_after_sync_had_checked_it(device):
    device.offer()
    changed = device.server.content.replace(b"exit 0", b"exit 1")
    assert changed != device.server.content
    assert handed_over(device, lambda path: path.write_bytes(changed)) == ("failed", "archive")
    longer = device.server.content + b"x"
    assert handed_over(device, lambda path: path.write_bytes(longer)) == ("failed", "archive")
    half = device.server.content[:1000]
    assert handed_over(device, lambda path: path.write_bytes(half)) == ("failed", "archive")


def test_links_pipes_and_folders_in_its_place(device, tmp_path):
    made = device.offer()
    for content in (
        lambda path: path.symlink_to(made),
        lambda path: path.hardlink_to(made),
        os.mkfifo,
        lambda path: path.mkdir(),
    ):
        sha256 = json.loads(device.server.wanted["manifest"])["sha256"]
        path = device.inbox / f"{sha256}.tar"
        assert handed_over(device, content) == ("failed", "archive")
        if path.is_dir():
            path.rmdir()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root acts as another user")
def test_root_reaches_nothing_through_a_link_in_place_of_the_folder(device, tmp_path):
    secret = tmp_path / "secret"
    secret.mkdir(mode=0o700)
    (secret / "request.json").write_text('{"id": "a"}')
    (secret / "private.tar").touch()
    device.inbox.symlink_to(secret)
    os.chown(device.inbox.parent, 65534, 65534)
    for each in (tmp_path, *list(tmp_path.parents)[:2]):
        each.chmod(0o755)
    device.root().run()
    handover.discard(device.inbox)
    assert sorted(each.name for each in secret.iterdir()) == ["private.tar", "request.json"]


def link(kind, to):
    info = tarfile.TarInfo()
    info.type, info.linkname = kind, to
    return info


@pytest.mark.parametrize(
    "members",
    [
        {"blinklog-device/../../escaped": b"x"},
        {"/escaped": b"x"},
        {"escaped": b"x"},
        {"blinklog-device/a": link(tarfile.SYMTYPE, "/etc"), "blinklog-device/a/escaped": b"x"},
        {"blinklog-device/a": link(tarfile.LNKTYPE, "/etc/passwd")},
        {"blinklog-device/a": link(tarfile.CHRTYPE, "")},
        {"blinklog-device/a": link(tarfile.FIFOTYPE, "")},
        {"blinklog-device/other": b"no installer"},
    ],
    ids=["up", "absolute", "elsewhere", "link", "hard link", "device", "pipe", "no installer"],
)
def test_an_archive_with_anything_but_plain_files_is_not_unpacked(device, tmp_path, members):
    """Also one that the operator has signed by mistake; blink-server would not."""
    file = tar_of(tmp_path / "bad.tar", members)
    content = file.read_bytes()
    fields = json.loads(signed(archive(tmp_path / "good", "0.2.0"), device.private)["manifest"])
    fields |= {
        "size": len(content), "sha256": hashlib.sha256(content).hexdigest(), "machine": "x86_64",
    }  # fmt: skip
    text = json.dumps(fields)
    device.server.content = content
    device.server.wanted = {
        "request": "one", "keys": [], "manifest": text,
        "signature": signing.sign(device.private, text),
    }  # fmt: skip
    over = device.until_over()
    assert (over["state"], over["code"]) == ("failed", "archive")
    assert not list(tmp_path.rglob("*escaped*"))
    assert device.is_as_before()
    assert device.installer.began == []


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b"null", b'{"id": 5}', b'{"id": "a", "release": {}}', b"x" * 100_000,
     b'{"id": "a", "release": {"text": "{}", "signature": "x"}, "rotations": [5]}'],
)  # fmt: skip
def test_a_request_that_is_none_is_removed_and_nothing_happens(device, content):
    device.inbox.mkdir()
    (device.inbox / "request.json").write_bytes(content)
    device.root().run()
    assert device.outcome is None
    assert device.is_as_before()


def test_the_house_that_is_installed_is_the_one_that_was_signed(device):
    made = house(device.folder / "other", "0.2.0", {"common.sh": "# mine\n"}, machine="x86_64")
    packing.pack(made, device.folder / "other.tar")
    device.offer(file=device.folder / "other.tar")
    assert device.until_over()["state"] == "installed"
    assert device.installer.began == [(made / "release").read_text()]
