"""What the device takes, by what was signed: the same text that the server writes."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.release import manifest
from agent.release.manifest import Machine, ReleaseError, read_manifest
from agent.release.signature import (
    ReleaseKeyError,
    Signed,
    checked_key,
    fingerprint,
    is_signed,
    verified,
)
from server.releases import manifest as of_server
from tests.releases import key_pair

GOLDEN = json.loads(
    (Path(__file__).parents[2] / "golden" / "releases" / "release.json").read_text()
)
SIGNED = Signed(GOLDEN["manifest"], GOLDEN["signature"])
ROTATION = Signed(GOLDEN["rotation"]["statement"], GOLDEN["rotation"]["signature"])


def here(version="0.1.0", machine="aarch64", python="3.13"):
    return Machine(version, machine, python)


def test_the_golden_release_is_taken():
    found, key = verified(SIGNED, (), GOLDEN["key"])
    assert (found.version, found.size, key) == ("0.2.0", 136314880, GOLDEN["key"])
    found.check(here())


@pytest.mark.parametrize(
    ("device", "code"),
    [
        (here(machine="x86_64"), "machine"),
        (here(python="3.12"), "machine"),
        (here("0.2.0"), "older"),
        (here("0.10.0"), "older"),
        (here("0.2.0.dev1"), "older"),
        (here("0.0.9"), "too_old"),
    ],
)
def test_a_release_that_is_not_for_this_device_is_refused(device, code):
    found, _ = verified(SIGNED, (), GOLDEN["key"])
    with pytest.raises(ReleaseError) as refused:
        found.check(device)
    assert refused.value.code == code


def test_an_older_release_is_taken_only_from_the_version_that_was_signed():
    found, _ = verified(SIGNED, (), GOLDEN["key"])
    found.check(here("0.3.0"))
    with pytest.raises(ReleaseError):
        found.check(here("0.3.1"))


VERSIONS = st.lists(st.integers(0, 20), min_size=1, max_size=4).map(lambda n: ".".join(map(str, n)))


@given(VERSIONS, VERSIONS, VERSIONS, st.lists(VERSIONS, max_size=2))
def test_server_and_device_decide_alike(own, new, least, back_from):
    fields = {
        "version": new, "machine": "aarch64", "pythons": ["3.13"], "size": 1, "sha256": "0" * 64,
        "least": least, "back_from": back_from, "key": "x" * 22,
    }  # fmt: skip
    text = of_server.manifest_text(fields)
    fits = of_server.fits(of_server.read_manifest(text), own, "aarch64", "3.13")
    try:
        read_manifest(text).check(here(own))
    except ReleaseError:
        assert not fits
    else:
        assert fits
        assert manifest.number(new) != manifest.number(own)


@given(st.text(max_size=200) | st.binary(max_size=200).map(lambda b: b.decode("latin-1")))
def test_anything_else_is_no_manifest(text):
    with pytest.raises(ReleaseError):
        read_manifest(text)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("version", "1/../.."), ("size", 0), ("size", 1.5), ("size", (1 << 30) + 1), ("name", "x"),
        ("sha256", "../" * 8), ("machine", "a/b"), ("pythons", "3.11"), ("least", None),
        ("back_from", [1]), ("key", None), ("format", 2), ("kind", "blinklog-release-key"),
    ],
)  # fmt: skip
def test_an_invalid_key_is_named(name, value):
    with pytest.raises(ReleaseError) as refused:
        read_manifest(json.dumps({**json.loads(SIGNED.text), name: value}))
    assert refused.value.code == "manifest"


# Signatures


def test_one_changed_byte_is_no_signature():
    assert is_signed(GOLDEN["key"], SIGNED)
    for changed in (
        Signed(SIGNED.text + " ", SIGNED.signature),
        Signed(SIGNED.text, ROTATION.signature),
        Signed(SIGNED.text, ""),
        Signed(SIGNED.text, "nonsense!"),
        Signed(SIGNED.text, "A" * 100_000),
    ):
        assert not is_signed(GOLDEN["key"], changed)
        with pytest.raises(ReleaseError) as refused:
            verified(changed, (), GOLDEN["key"])
        assert refused.value.code == "signature"


def test_another_key_signs_nothing_for_this_device(tmp_path):
    _, other = key_pair(tmp_path)
    with pytest.raises(ReleaseError, match="not signed by the key"):
        verified(SIGNED, (), other)


def test_a_statement_about_a_key_is_no_release(tmp_path):
    with pytest.raises(ReleaseError, match="expected a blinklog-release"):
        verified(ROTATION, (), GOLDEN["key"])


def test_the_next_key_is_followed_and_the_one_before_signs_nothing_any_more():
    new, _ = manifest.read_statement(ROTATION.text)
    with pytest.raises(ReleaseError, match=f"not signed by the key {fingerprint(new)}"):
        verified(SIGNED, (ROTATION,), GOLDEN["key"])


def test_a_key_that_introduces_itself_is_not_followed(tmp_path):
    from server.releases import signing

    private, other = key_pair(tmp_path)
    forged = of_server.key_statement(other, fingerprint(GOLDEN["key"]))
    with pytest.raises(ReleaseError, match="not signed by the one before"):
        verified(SIGNED, (Signed(forged, signing.sign(private, forged)),), GOLDEN["key"])
    own = of_server.key_statement(other, fingerprint(other))
    found, key = verified(SIGNED, (Signed(own, signing.sign(private, own)),), GOLDEN["key"])
    assert (found.version, key) == ("0.2.0", GOLDEN["key"])


def test_without_openssl_nothing_is_taken(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ReleaseError, match="openssl is not installed"):
        is_signed(GOLDEN["key"], SIGNED)


@pytest.mark.parametrize(
    "text",
    [
        None, 5, "", "nonsense", GOLDEN["key"][:-30], GOLDEN["key"] * 100,
        GOLDEN["key"].replace("PUBLIC", "PRIVATE"), GOLDEN["key"].replace("MCow", "MCoz"),
    ],
)  # fmt: skip
def test_only_a_public_ed25519_key_is_a_key(text):
    with pytest.raises(ReleaseKeyError):
        checked_key(text)
