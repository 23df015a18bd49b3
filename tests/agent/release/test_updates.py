"""An update from the server's offer to the report, with everything that can be wrong on its way."""

import json

import pytest

from agent.errors import DeliveryError
from agent.release import room, updater
from agent.release.handover import Request, send
from agent.release.installing import MOST_TRIES, forget_tries
from agent.release.manifest import Machine
from agent.release.signature import Signed, fingerprint
from server.releases import manifest as of_server
from server.releases import signing
from tests.agent.release.conftest import PART
from tests.releases import key_pair, signed


def test_a_release_is_downloaded_checked_and_installed(device):
    device.offer()
    assert device.until_over()["state"] == "installed"
    assert device.installer.version() == "0.2.0"
    states = [each["update"]["state"] for each in device.server.told if each["update"]]
    assert list(dict.fromkeys(states)) == ["downloading", "installing", "installed"]
    first = device.server.told[0]
    assert (first["version"], first["key"]) == ("0.1.0", device.fingerprint)
    assert not [each for each in device.inbox.iterdir() if each.suffix != ".json"]
    assert not (device.office / "work").exists()


def test_without_anything_wanted_it_only_reports(device):
    assert updater.ASK_S * 0.9 <= device.updater.step() <= updater.ASK_S * 1.1
    assert device.server.told[-1]["update"] is None
    assert not device.inbox.exists()


@pytest.mark.parametrize("wanted", [[], {}, {"request": 5}, {"request": "a", "manifest": "{}"}])
def test_an_answer_that_is_none_is_no_request(device, wanted):
    device.server.wanted = wanted or None
    device.updater.step()
    assert not device.inbox.exists()


# What is refused, before anything is downloaded


def refused(device):
    """Why sync refuses it, and root would."""
    wanted = device.server.wanted
    content = device.server.content
    over = device.until_over()
    assert over["state"] == "failed"
    assert device.is_as_before()
    # A sync that was broken into hands it over all the same.
    device.inbox.mkdir(exist_ok=True)
    release = Signed(wanted["manifest"], wanted["signature"])
    rotations = tuple(Signed(each["statement"], each["signature"]) for each in wanted["keys"])
    found = json.loads(wanted["manifest"])
    if isinstance(found, dict) and str(found.get("sha256", "/")).isalnum():
        (device.inbox / f"{found['sha256']}.tar").write_bytes(content)
    send(Request("by hand", release, rotations), device.inbox)
    device.root().run()
    assert device.outcome.request == "by hand"
    assert device.outcome.state == "failed"
    assert device.installer.began == []
    assert device.installer.version() == "0.1.0"
    assert not (device.office / "work").exists()
    return over["code"], device.outcome.code


def test_a_bad_signature(device):
    device.offer()
    device.server.wanted["signature"] = signing.sign(device.private, "another text")
    assert refused(device) == ("signature", "signature")
    assert device.server.parts == [], "nothing was downloaded"


def test_another_key(device, tmp_path):
    made = device.offer()
    other, _ = key_pair(tmp_path, "other")
    device.server.wanted |= signed(made, other)
    assert refused(device) == ("signature", "signature")


def test_another_key_that_says_it_is_the_pinned_one(device, tmp_path):
    made = device.offer()
    other, _ = key_pair(tmp_path, "other")
    device.server.wanted |= signed(made, other, key=device.fingerprint)
    assert refused(device) == ("signature", "signature")


def test_a_manifest_that_was_changed(device):
    device.offer(least="0.2")
    text = device.server.wanted["manifest"].replace('"least":"0.2"', '"least":"0.1"')
    device.server.wanted["manifest"] = text
    assert refused(device) == ("signature", "signature")


@pytest.mark.parametrize("version", ["0.1.0", "0.0.9"])
def test_the_same_version_and_an_older_one(device, version):
    device.offer(version)
    assert refused(device) == ("older", "older")


def test_an_older_one_that_was_signed_for_going_back_is_taken(device):
    device.offer("0.0.9", back_from=["0.1.0"])
    assert device.until_over()["state"] == "installed"


def test_a_version_that_is_too_old_for_it(device):
    device.offer(least="0.1.1")
    assert refused(device) == ("too_old", "too_old")


@pytest.mark.parametrize(
    "here", [Machine("0.1.0", "aarch64", "3.11"), Machine("0.1.0", "x86_64", "3.12")]
)
def test_another_machine_or_python(device, here):
    device.here = here
    device.restart()
    device.offer()
    assert refused(device) == ("machine", "machine")


def test_a_device_that_trusts_no_key(device):
    device.key.unlink()
    device.offer()
    assert refused(device) == ("no_key", "no_key")


def test_no_room(device, monkeypatch):
    device.offer()
    monkeypatch.setattr(room, "free_bytes", lambda _: 2 << 20)
    assert device.until_over()["code"] == "room"
    assert device.server.parts == []
    assert device.is_as_before()


def test_no_room_any_more_when_root_looks(device, monkeypatch):
    device.offer()
    while not (device.inbox / "request.json").exists():
        device.updater.step()
    monkeypatch.setattr(room, "free_bytes", lambda _: 2 << 20)
    device.root().run()
    assert (device.outcome.state, device.outcome.code) == ("failed", "room")
    device.updater.step()
    device.updater.step()
    assert device.is_as_before()


# The download


def test_half_a_file_goes_on_where_it_was_broken_off(device):
    device.offer()
    cut = len(device.server.content) // 2

    def broken(first, part):
        if first + len(part) > cut:
            raise DeliveryError("the connection was lost")
        return part

    device.server.spoil = broken
    while (cut - 1) // PART > len(device.server.parts):
        device.updater.step()
    with pytest.raises(DeliveryError):
        device.updater.step()
    device.restart()  # and the power was cut
    device.server.spoil, parts = None, len(device.server.parts)
    assert device.until_over()["state"] == "installed"
    assert device.server.parts[parts] > 0


@pytest.mark.parametrize("spoil", ["changed", "longer"])
def test_an_archive_that_is_not_as_it_was_signed_is_fetched_once_more_and_then_given_up(
    device, spoil
):
    device.offer()
    size = len(device.server.content)

    def spoiled(first, part):
        return bytes(len(part)) if spoil == "changed" else part + b"more"

    device.server.spoil = spoiled
    if spoil == "longer":
        assert device.until_over()["state"] == "failed"
    else:
        assert device.until_over()["code"] == "archive"
    assert device.server.parts.count(0) == updater.MOST_DAMAGED
    assert max(device.server.parts) < size
    assert device.is_as_before()


def test_zeros_that_a_power_cut_left_are_noticed(device):
    device.offer()
    device.inbox.mkdir()
    found = json.loads(device.server.wanted["manifest"])
    (device.inbox / f"{found['sha256']}.part").write_bytes(bytes(found["size"]))
    assert device.until_over()["state"] == "installed"


def test_what_is_not_wanted_any_more_is_deleted(device):
    device.offer()
    device.looks = [True, True, False]
    device.updater.step()
    assert list(device.inbox.glob("*.part"))
    device.server.wanted = None
    device.updater.step()
    assert device.is_as_before()


def test_nothing_is_downloaded_and_nothing_installed_while_somebody_is_measured(device):
    device.offer()
    device.idle = False
    for _ in range(3):
        device.updater.step()
    assert device.server.parts == []
    assert device.server.last["state"] == "waiting"
    device.idle = True
    while not (device.inbox / "request.json").exists():
        device.updater.step()
    device.idle, device.looks = True, [False, False]  # a session begins before root looks
    seen = []
    device.root(sleep=lambda _: seen.append(device.outcome.state)).run()
    assert seen == ["waiting", "waiting"]
    assert device.outcome.state == "installed"


def test_a_session_that_never_ends_is_not_ended(device):
    device.offer()
    while not (device.inbox / "request.json").exists():
        device.updater.step()
    device.idle = False
    device.root(idle_s=0.0).run()
    assert (device.outcome.state, device.outcome.code) == ("failed", "busy")
    assert device.installer.began == []


def test_an_update_that_is_withdrawn_while_root_waits_is_dropped(device):
    device.offer()
    while not (device.inbox / "request.json").exists():
        device.updater.step()
    device.idle = False

    def withdraw(_: float) -> None:
        device.server.wanted = None
        device.updater.step()

    device.root(sleep=withdraw).run()
    assert (device.outcome.state, device.outcome.code) == ("failed", "withdrawn")
    assert device.installer.began == []
    device.idle = True
    device.offer("0.2.1")
    assert device.until_over()["state"] == "installed", "the next one is not withdrawn"


def test_an_installation_by_hand_is_waited_for(device):
    device.offer()
    while not (device.inbox / "request.json").exists():
        device.updater.step()
    device.installer.others = True
    device.root(idle_s=0.0).run()
    assert device.outcome.code == "busy"


def test_a_session_that_begins_while_the_installer_works_is_no_failure(device):
    device.offer()
    device.installer.statuses = [4, 4, 0]
    assert device.until_over()["state"] == "installed"
    assert len(device.installer.began) == 3


def test_a_root_service_that_does_not_answer_is_said(device):
    device.offer()
    while not (device.inbox / "request.json").exists():
        device.updater.step()
    device.clock_s += updater.TAKEN_S + 1
    device.updater.step()
    device.updater.step()
    assert (device.server.last["state"], device.server.last["code"]) == ("failed", "not_handed_on")
    assert device.is_as_before()


# Going back


@pytest.mark.parametrize(("status", "state"), [(3, "went_back"), (1, "failed")])
def test_a_release_that_does_not_work_leaves_the_old_one_and_says_why(device, status, state):
    device.offer()
    device.installer.statuses = [status]
    over = device.until_over()
    assert (over["state"], over["code"]) == (state, "installer")
    assert over["problem"] == "what the installer said"
    assert device.is_as_before()


def test_a_release_that_fails_is_not_tried_over_and_over(device):
    device.installer.statuses = [3]
    made = device.offer()
    for _ in range(MOST_TRIES):
        assert device.until_over()["state"] == "went_back"
        device.offer(file=made)
    over = device.until_over()
    assert (over["state"], over["code"]) == ("failed", "tried")
    assert len(device.installer.began) == MOST_TRIES
    device.offer("0.2.1")
    assert device.until_over()["state"] == "went_back", "another release is tried"
    forget_tries(device.office)
    device.installer.statuses = [0]
    device.offer(file=made)
    assert device.until_over()["state"] == "installed"


def test_the_same_request_is_obeyed_once(device):
    device.installer.statuses = [3]
    device.offer()
    while not (device.inbox / "request.json").exists():
        device.updater.step()
    again = (device.inbox / "request.json").read_text()
    device.root().run()
    (device.inbox / "request.json").write_text(again)
    device.root().run()
    assert len(device.installer.began) == 1


# The key


def introduced(device, new, by):
    text = of_server.key_statement(new, fingerprint(device.public))
    return {"statement": text, "signature": signing.sign(by, text)}


def test_a_new_key_that_the_pinned_one_has_signed_is_pinned(device, tmp_path):
    private, new = key_pair(tmp_path, "new")
    made = device.offer()
    rotation = introduced(device, new, device.private)
    device.server.wanted |= {"keys": [rotation], **signed(made, private)}
    assert device.until_over()["state"] == "installed"
    assert device.key.read_text() == new
    assert device.key.stat().st_mode & 0o777 == 0o644


def test_a_new_key_that_only_itself_has_signed_is_refused(device, tmp_path):
    private, new = key_pair(tmp_path, "new")
    made = device.offer()
    device.server.wanted |= {"keys": [introduced(device, new, private)], **signed(made, private)}
    assert refused(device) == ("signature", "signature")
    assert device.key.read_text() == device.public


def test_a_failed_report_waits_as_long_as_the_server_asks(device):
    waits = []

    class Stop:
        def wait(self, s):
            waits.append(s)
            return len(waits) > 2

        def is_set(self):
            return False

    def unreachable(_):
        raise DeliveryError("429", 120.0)

    device.server.report = unreachable
    device.updater.run(Stop())
    assert waits[1:] == [120.0, 120.0]
