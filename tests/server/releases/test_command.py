"""`blink-server release`, as the operator uses it."""

import json
import os

import pytest

from server.operations import cli
from server.releases import shelf, signing
from tests.releases import house, key_pair


@pytest.fixture
def run(db, capsys, monkeypatch):
    monkeypatch.setenv("BLINKLOG_SECRET_KEY", "x" * 60)
    monkeypatch.setattr(os, "umask", lambda _: 0)

    def run_it(*arguments):
        status = cli.main(["release", *map(str, arguments)])
        told = capsys.readouterr()
        return status, told.out, told.err

    return run_it


def test_from_a_wheel_house_on_another_machine_to_an_offer(run, place):
    status, out, _ = run("key", "--make", place / "private", "--json")
    fingerprint = json.loads(out)["fingerprint"]
    assert status == 0
    assert (place / "private").stat().st_mode & 0o777 == 0o600
    made = house(place, "0.2.0")
    assert run("sign", made, "--key", place / "private", "--from", "0.1.0")[0] == 0
    archive = made.with_name(f"{made.name}.tar")
    assert run("add", archive)[2].strip() == (
        "blink-server: there is no public key yet: blink-server release key --trust FILE"
    )
    assert fingerprint in run("key", "--trust", place / "private.pub")[1]
    assert run("add", archive)[0] == 0
    (listed,) = [json.loads(line) for line in run("list", "--json")[1].splitlines()]
    assert (listed["version"], listed["from"], listed["offered"]) == ("0.2.0", "0.1.0", True)
    assert not list(shelf.folder().glob("*private*")), "the server has no private key"
    assert run("remove", "0.2.0")[0] == 0
    assert run("list")[1] == ""
    assert run("remove", "0.2.0")[2].strip() == "blink-server: there is no release 0.2.0"


def test_with_the_key_at_hand_a_folder_is_offered_in_one_step(run, place, keys):
    made = house(place, "0.2.0")
    assert run("add", made, "--key", keys[0], "--back-from", "0.3.0")[0] == 0
    (release,) = shelf.releases()
    assert release.manifest.back_from == ("0.3.0",)
    assert sorted(each.suffix for each in shelf.folder().iterdir()) == [".json", ".pem", ".tar"]


def test_a_key_is_succeeded_by_a_new_one(run, place, keys):
    new = key_pair(place, "new")[1]
    (place / "new.pub").write_text(new)
    assert "expected --key" in run("key", "--succeed", place / "new.pub")[2]
    _, out, _ = run("key", "--succeed", place / "new.pub", "--key", keys[0])
    (place / "statement").write_text(out)
    assert signing.fingerprint(new) in run("key", "--follow", place / "statement")[1]
    assert shelf.key() == new
    assert "not signed by this server's key" in run("key", "--follow", place / "statement")[2]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("key",), "there is no key yet"),
        (("add", "/no such.tar"), "expected what `release sign` has written"),
        (("sign", "/no such.tar", "--key", "/no such key"), "No such file"),
        (("key", "--trust", "/no such key"), "No such file"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(run, arguments, said):
    status, out, err = run(*arguments)
    assert (status, out) == (1, "")
    assert said in err
    assert err.count("\n") == 1


def test_a_version_that_can_t_be_compared_is_not_signed(run, place, keys):
    made = house(place, "0.2.0.dev1")
    assert "version: expected" in run("add", made, "--key", keys[0])[2]
