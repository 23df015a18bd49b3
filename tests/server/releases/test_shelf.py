"""What the operator signs and offers: real keys, real archives, and wrong ones."""

import json
import tarfile
from pathlib import Path

import pytest

from server.releases import manifest, packing, shelf, signing
from server.releases.manifest import ManifestError, fits, read_manifest
from server.releases.packing import PackingError
from server.releases.shelf import ShelfError
from server.releases.signing import SigningError
from tests.releases import archive, house, key_pair, signed, tar_of
from tests.server.releases.conftest import offer


def beside(place, made, private, **changes):
    file = place / "signed.json"
    file.write_text(json.dumps(signed(made, private, **changes)))
    return shelf.read_signed(file)


def test_a_signed_release_is_offered_with_its_archive(release):
    assert [each.manifest.version for each in shelf.releases()] == ["0.2.0"]
    assert release.archive.stat().st_size == release.manifest.size
    assert release.archive.name == release.manifest.file_name


def test_a_private_key_is_its_owners_alone_and_never_overwritten(place):
    private, public = key_pair(place)
    assert private.stat().st_mode & 0o777 == 0o600
    with pytest.raises(SigningError, match="File exists"):
        signing.make_key(private)
    assert signing.public_key(private) == public


@pytest.mark.parametrize("algorithm", ["x25519", "ed448"])
def test_a_key_of_another_kind_is_no_key(place, algorithm):
    signing._openssl("genpkey", "-algorithm", algorithm, "-out", str(place / "other"))
    with pytest.raises(SigningError, match="expected a public Ed25519 key"):
        signing.public_key(place / "other")


def test_a_release_of_another_key_is_refused(place, keys):
    other, _ = key_pair(place, "other")
    made = archive(place, "0.3.0")
    with pytest.raises(ShelfError, match="another key"):
        shelf.add(made, beside(place, made, other))
    stolen = beside(place, made, other, key=signing.fingerprint(keys[1]))
    with pytest.raises(ShelfError, match="signature"):
        shelf.add(made, stolen)
    assert shelf.releases() == []


def test_a_release_whose_manifest_was_changed_is_refused(place, keys):
    made = archive(place, "0.3.0")
    good = signed(made, keys[0])
    good["manifest"] = good["manifest"].replace('"least":"0"', '"least":"1"')
    (place / "changed.json").write_text(json.dumps(good))
    with pytest.raises(ShelfError, match="signature"):
        shelf.add(made, shelf.read_signed(place / "changed.json"))


def test_an_archive_that_was_changed_is_refused(place, keys):
    made = archive(place, "0.3.0")
    release = beside(place, made, keys[0])
    other = archive(place / "other", "0.3.0", files={"common.sh": "# another one\n"})
    with pytest.raises(ShelfError, match="is not the archive that was signed"):
        shelf.add(other, release)
    made.write_bytes(made.read_bytes()[:-2048])
    with pytest.raises(ShelfError):
        shelf.add(made, release)


def test_too_little_room_is_said_and_nothing_is_copied(place, keys, settings):
    settings.DISK_RESERVE_MB = 1 << 40
    made = archive(place, "0.3.0")
    with pytest.raises(ShelfError, match="too little room"):
        shelf.add(made, beside(place, made, keys[0]))
    assert not list((place / "shelf").glob("*.tar"))


def link(to):
    info = tarfile.TarInfo()
    info.type, info.linkname = tarfile.SYMTYPE, to
    return info


def device_file():
    info = tarfile.TarInfo()
    info.type = tarfile.CHRTYPE
    return info


@pytest.mark.parametrize(
    "members",
    [
        {"blinklog-device/../../etc/passwd": b"x"},
        {"/etc/passwd": b"x"},
        {"other/file": b"x"},
        {"blinklog-device/a": link("/etc/passwd")},
        {"blinklog-device/a": device_file()},
        {"blinklog-device/a\nb": b"x"},
        {"blinklog-device/.hidden": b"x"},
    ],
    ids=["up", "absolute", "elsewhere", "link", "device", "line break", "hidden"],
)
def test_an_archive_with_anything_but_plain_files_is_refused(place, members):
    with pytest.raises(PackingError, match="expected files and folders alone"):
        packing.examine(tar_of(place / "bad.tar", members))


def test_a_house_that_is_not_as_it_was_made_is_not_signed(place):
    made = house(place, "0.3.0")
    (made / "install.sh").write_text("#!/bin/bash\nrm -rf /\n")
    packing.pack(made, place / "changed.tar")
    with pytest.raises(PackingError, match=r"install\.sh"):
        packing.examine(place / "changed.tar")


def test_a_house_of_a_server_is_not_for_devices(place):
    made = house(place, "0.3.0", role="server")
    packing.pack(made, place / "server.tar")
    with pytest.raises(PackingError, match="for devices"):
        packing.examine(place / "server.tar")


def test_a_file_that_is_no_tar_is_said(place):
    (place / "nonsense.tar").write_bytes(b"x" * 5000)
    with pytest.raises(PackingError, match="expected a tar file"):
        packing.examine(place / "nonsense.tar")


FIELDS = {
    "version": "0.2.0", "machine": "aarch64", "pythons": ["3.11"], "size": 1, "sha256": "0" * 64,
    "least": "0", "back_from": [], "key": "x" * 22,
}  # fmt: skip


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("version", "0.2.0rc1"), ("version", "../0"), ("version", None), ("machine", "armv7l"),
        ("pythons", []), ("pythons", ["2.7"]), ("size", 0), ("size", True), ("size", 1 << 31),
        ("sha256", "0" * 63), ("least", ""), ("back_from", "0.1"), ("key", ""), ("name", "other"),
        ("kind", "blinklog-release-key"), ("format", 2),
    ],
)  # fmt: skip
def test_a_manifest_says_which_key_is_wrong(name, value):
    with pytest.raises(ManifestError):
        manifest.manifest_text({**FIELDS, name: value})


def test_a_manifest_is_what_the_device_reads():
    golden = json.loads((Path(__file__).parents[2] / "golden/releases/release.json").read_text())
    found = read_manifest(golden["manifest"])
    assert (found.version, found.machine, found.back_from) == ("0.2.0", "aarch64", ("0.3.0",))
    assert found.key == signing.fingerprint(golden["key"])
    assert signing.is_signed(golden["key"], golden["manifest"], golden["signature"])


@pytest.mark.parametrize(
    ("own", "fitting"),
    [("0.1.0", True), ("0.1.9", True), ("0.2.0", False), ("0.10.0", False), ("0.0.9", False),
     ("0.3.0", True), ("0.2.0.dev1", False), ("", False)],
)  # fmt: skip
def test_only_a_newer_release_fits_unless_it_says_otherwise(own, fitting):
    text = manifest.manifest_text({**FIELDS, "least": "0.1", "back_from": ["0.3.0"]})
    found = read_manifest(text)
    assert fits(found, own, "aarch64", "3.11") is fitting
    assert not fits(found, own, "x86_64", "3.11")
    assert not fits(found, own, "aarch64", "3.13")


def test_the_newest_is_offered_by_its_number(place, keys):
    for version in ("0.9.0", "0.10.0", "0.2.0"):
        offer(place, keys[0], version)
    found = shelf.best_for("0.1.0", shelf.releases()[0].manifest.machine, "3.13")
    assert found.manifest.version == "0.10.0"


# The key


def test_the_first_key_is_trusted_and_no_second_one(place, keys):
    _, other = key_pair(place, "other")
    with pytest.raises(ShelfError, match="there is a key already"):
        shelf.trust(other)
    shelf.trust(keys[1])
    assert shelf.key() == keys[1]


def test_a_new_key_is_taken_if_the_old_one_has_signed_it(place, keys, release):
    new_private, new = key_pair(place, "new")
    statement = manifest.key_statement(new, signing.fingerprint(keys[1]))
    with pytest.raises(ShelfError, match="signature"):
        shelf.succeed(statement, signing.sign(new_private, statement))
    assert shelf.key() == keys[1]
    shelf.succeed(statement, signing.sign(keys[0], statement))
    assert shelf.key() == new
    assert len(shelf.rotations()) == 1
    assert shelf.releases() == [], "the old one has to be signed again"
    offer(place, new_private, "0.4.0")
    assert [each.manifest.version for each in shelf.releases()] == ["0.4.0"]


def test_a_key_that_another_introduces_is_refused(place, keys):
    private, other = key_pair(place, "other")
    statement = manifest.key_statement(other, signing.fingerprint(other))
    with pytest.raises(ShelfError, match="not signed by this server's key"):
        shelf.succeed(statement, signing.sign(private, statement))


def test_a_damaged_key_file_means_no_releases(keys, release):
    (shelf.folder() / "key.pem").write_bytes(b"\xff nonsense")
    assert shelf.key() is None
    assert shelf.releases() == []


def test_a_damaged_manifest_is_left_out(release):
    (shelf.folder() / "broken.json").write_text("{")
    (shelf.folder() / "other.json").write_text('{"manifest": "{}", "signature": ""}')
    assert [each.manifest.version for each in shelf.releases()] == ["0.2.0"]
