"""Who may ask for an update, what the device is told, and what its reports change."""

import uuid

import pytest
from django.test import Client
from django.utils import timezone

from server.care.models import AuditEntry, Person
from server.devices import manage
from server.devices.models import Device
from server.releases import shelf, updates, views
from server.releases.models import Update, UpdateState
from server.releases.signing import fingerprint
from tests.server.releases.conftest import fresh, offer, report, reported

REPORT = "/api/device/release/"


def path(device):
    return f"/api/device/{device.pk}/release/"


def archive_path(release):
    return f"/api/device/release/{release.manifest.sha256}/"


def body(release):
    return {"sha256": release.manifest.sha256}


def asked(world, keys, release):
    """Anna has asked for the release. Returns the request's id, as the device is told it."""
    reported(world.device, keys)
    updates.ask(world.anna, fresh(world.device), release.manifest.sha256)
    return reported(world.device, keys)["request"]


def said(request, state, **more):
    return {"request": uuid.UUID(request), "state": state, **more}


# Who


@pytest.mark.parametrize("name", ["anna", "irma"])
def test_the_owner_and_who_manages_the_device_ask_for_an_update(
    everybody, api, keys, release, name
):
    reported(everybody.device, keys)
    told = api(name).get(path(everybody.device)).json()
    assert told["version"] == "0.1.0"
    assert told["key_trusted"] is True
    assert (told["offered"]["version"], told["update"]) == ("0.2.0", None)
    answer = api(name)("POST", path(everybody.device), body(release))
    assert (answer.status_code, answer.json()["update"]["state"]) == (200, "asked")
    entry = AuditEntry.objects.get(event="update_asked")
    assert (entry.actor_name, entry.subject_name, entry.detail) == (name, "anna", "Kitchen: 0.2.0")
    assert (entry.institution is not None) is (name == "irma")
    assert api(name)("DELETE", path(everybody.device)).status_code == 204
    assert reported(everybody.device, keys) is None


@pytest.mark.parametrize(
    ("name", "status"),
    [
        *((each, 404) for each in ("carl", "ella", "otto", "liv", "conny", "hana", "alma")),
        *((each, 403) for each in ("device", "other device")),
        ("nobody", 401),
    ],
)
def test_nobody_else_sees_or_asks(everybody, api, keys, release, name, status):
    reported(everybody.device, keys)
    for method in ("GET", "POST", "DELETE"):
        given = body(release) if method == "POST" else None
        assert api(name)(method, path(everybody.device), given).status_code == status
    assert Update.objects.get().request is None


@pytest.mark.parametrize(
    ("name", "status"), [("anna", 403), ("nobody", 401), ("revoked device token", 401)]
)
def test_only_devices_report_and_download(world, api, keys, release, name, status):
    asked(world, keys, release)
    assert api(name)("POST", REPORT, report()).status_code == status
    assert api(name).get(archive_path(release)).status_code == status


def test_everybody_may_read_the_public_key(db, client, keys):
    told = client.get("/api/device/release/key/").json()
    assert told == {"key": keys[1], "fingerprint": fingerprint(keys[1])}


def test_a_server_without_a_key_says_so(db, client):
    assert client.get("/api/device/release/key/").status_code == 404


# What can be asked for


def test_a_device_that_has_not_reported_is_offered_nothing(world, api, keys, release):
    assert api("anna").get(path(world.device)).json()["offered"] is None
    answer = api("anna")("POST", path(world.device), body(release))
    assert (answer.status_code, answer.json()["code"]) == (400, "no_such_release")


@pytest.mark.parametrize(
    "changes", [{"machine": "armv7l"}, {"python": "3.12"}, {"version": "0.2.0"}]
)
def test_a_release_that_the_device_would_refuse_is_not_offered(world, api, keys, release, changes):
    updates.report(fresh(world.device), report(key=fingerprint(keys[1])) | changes)
    assert api("anna").get(path(world.device)).json()["offered"] is None


@pytest.mark.parametrize("key", [None, "x" * 22])
def test_a_device_that_trusts_another_key_can_t_be_asked(world, api, keys, release, key):
    updates.report(fresh(world.device), report(key=key))
    assert api("anna").get(path(world.device)).json()["key_trusted"] is False
    answer = api("anna")("POST", path(world.device), body(release))
    assert (answer.status_code, answer.json()["code"]) == (400, "key_not_trusted")


def test_a_second_request_is_refused_while_one_is_under_way(world, api, keys, release):
    asked(world, keys, release)
    answer = api("anna")("POST", path(world.device), body(release))
    assert (answer.status_code, answer.json()["code"]) == (400, "update_under_way")


def test_a_blocked_device_can_t_be_asked(world, api, keys, release):
    reported(world.device, keys)
    Device.objects.filter(pk=world.device.pk).update(revoked_at=timezone.now())
    answer = api("anna")("POST", path(world.device), body(release))
    assert (answer.status_code, answer.json()["code"]) == (400, "device_blocked")


def test_an_update_that_the_device_installs_can_t_be_withdrawn(world, api, keys, release):
    request = asked(world, keys, release)
    reported(world.device, keys, update=said(request, "installing"))
    answer = api("anna")("DELETE", path(world.device))
    assert (answer.status_code, answer.json()["code"]) == (409, "no_update")


# What the device is told


def test_the_device_is_told_what_was_signed_until_it_is_over(world, api, keys, release):
    device = api("device")
    assert device("POST", REPORT, report()).json() == {"wanted": None}
    asked(world, keys, release)
    wanted = device("POST", REPORT, report(key=fingerprint(keys[1]))).json()["wanted"]
    assert wanted["manifest"] == release.manifest.text
    assert wanted["signature"] == release.signature
    assert wanted["keys"] == []
    done = {"request": wanted["request"], "state": "installed"}
    assert device("POST", REPORT, report("0.2.0", update=done)).json() == {"wanted": None}
    assert fresh(world.device).agent_version == "0.2.0"


def test_another_device_is_told_nothing(world, api, keys, release):
    asked(world, keys, release)
    assert api("other device")("POST", REPORT, report()).json() == {"wanted": None}
    part = {"headers": {"Range": "bytes=0-"}}
    assert api("other device").client.get(archive_path(release), **part).status_code == 404


@pytest.mark.parametrize(
    "changes",
    [
        {"version": "x" * 65}, {"machine": None}, {"key": "x" * 23}, {"update": {}},
        {"update": {"request": "nonsense", "state": "failed"}},
        {"update": {"request": str(uuid.uuid4()), "state": "asked"}},
        {"update": {"request": str(uuid.uuid4()), "state": "failed", "percent": 101}},
    ],
)  # fmt: skip
def test_a_report_that_is_wrong_changes_nothing(world, api, changes):
    assert api("device")("POST", REPORT, report() | changes).status_code == 400
    assert not Update.objects.exists()


def test_the_pages_follow_the_device(world, keys, release):
    request = asked(world, keys, release)
    reported(world.device, keys, update=said(request, "downloading", percent=40))
    update = Update.objects.get()
    assert (update.state, update.percent) == ("downloading", 40)
    reported(world.device, keys, update=said(request, "failed", code="room", problem="1 MB"))
    update = Update.objects.get()
    assert (update.state, update.code, update.problem) == ("failed", "room", "1 MB")
    entry = AuditEntry.objects.get(event="update_ended")
    assert (entry.actor, entry.subject_name) == (None, "anna")
    assert entry.detail == "Kitchen: 0.2.0 failed"


def test_a_report_of_another_request_or_after_the_end_changes_nothing(world, keys, release):
    request = asked(world, keys, release)
    reported(world.device, keys, update=said(str(uuid.uuid4()), "installed"))
    assert Update.objects.get().state == "asked"
    reported(world.device, keys, update=said(request, "went_back"))
    reported(world.device, keys, update=said(request, "installed"))
    assert Update.objects.get().state == "went_back"


def test_the_next_owners_device_does_not_install_what_the_former_asked_for(
    world, api, keys, release
):
    asked(world, keys, release)
    manage.reassign(world.anna, fresh(world.device), world.otto)
    Device.objects.filter(pk=world.device.pk).update(credentials_ended=False)
    assert reported(world.device, keys) is None
    assert updates.software_of(fresh(world.device)).update is None
    assert updates.archive_for(fresh(world.device), release.manifest.sha256) is None


def test_a_release_that_is_removed_meanwhile_ends_the_update(world, keys, release):
    asked(world, keys, release)
    shelf.remove("0.2.0")
    assert reported(world.device, keys) is None
    assert (Update.objects.get().state, Update.objects.get().code) == ("failed", "removed")


def test_a_device_with_the_former_key_gets_the_new_one_with_its_signature(world, place, keys):
    from server.releases import manifest, signing
    from tests.releases import key_pair

    private, new = key_pair(place, "new")
    statement = manifest.key_statement(new, fingerprint(keys[1]))
    shelf.succeed(statement, signing.sign(keys[0], statement))
    release = offer(place, private, "0.2.0")
    reported(world.device, keys)
    updates.ask(world.anna, fresh(world.device), release.manifest.sha256)
    (rotation,) = reported(world.device, keys)["keys"]
    assert signing.is_signed(keys[1], rotation["statement"], rotation["signature"])


def test_a_new_device_gets_the_key_with_its_identity(world, api, keys):
    code = api("anna")("POST", "/api/device/claim-codes/", {"label": "Bedroom"}).json()["code"]
    told = api("nobody")("POST", "/api/device/claim/", {"code": code}).json()
    assert told["release_key"] == keys[1]


# The archive


def part(api, release, text, name="device"):
    headers = {"Range": text, "Accept-Encoding": "gzip"}
    return api(name).client.get(archive_path(release), headers=headers)


def test_the_archive_comes_in_parts_as_it_is(world, api, keys, release, monkeypatch):
    asked(world, keys, release)
    monkeypatch.setattr(views, "PART_BYTES", 4096)
    whole, size = b"", release.manifest.size
    while len(whole) < size:
        answer = part(api, release, f"bytes={len(whole)}-")
        last = len(whole) + len(answer.content) - 1
        assert answer.status_code == 206
        assert answer.headers["Content-Range"] == f"bytes {len(whole)}-{last}/{size}"
        whole += answer.content
    assert whole == release.archive.read_bytes()
    assert part(api, release, "bytes=512-1023").content == whole[512:1024]


@pytest.mark.parametrize(
    ("text", "status", "code"),
    [
        ("", 400, "range_needed"),
        ("bytes=-5", 400, "range_needed"),
        ("bytes=0-1,4-5", 400, "range_needed"),
        ("bytes=99999999-", 416, "range_not_there"),
        ("bytes=9-8", 416, "range_not_there"),
    ],
)
def test_a_range_that_can_t_be_used_is_said(world, api, keys, release, text, status, code):
    asked(world, keys, release)
    answer = part(api, release, text)
    assert (answer.status_code, answer.json()["code"]) == (status, code)


def test_a_device_that_begins_again_and_again_has_to_wait(world, api, keys, release, monkeypatch):
    asked(world, keys, release)
    monkeypatch.setattr(views.PartThrottle.share, "_most_s", 0.6)
    monkeypatch.setattr(views.PartThrottle.share, "_each_s", 0.5)
    assert part(api, release, "bytes=0-").status_code == 206
    assert part(api, release, "bytes=0-").status_code == 429


# The page


def browser(name):
    client = Client(raise_request_exception=False, enforce_csrf_checks=name == "forged")
    if name != "nobody":
        person = "anna" if name == "forged" else name
        client.force_login(Person.objects.get(username=person))
    return client


def page(device, action):
    return f"/devices/{device.pk}/release/{action}/"


@pytest.mark.parametrize("name", ["anna", "irma"])
def test_the_page_offers_it_and_follows_it(everybody, keys, release, name):
    client, device = browser(name), everybody.device
    reported(device, keys)
    text = client.get(f"/devices/{device.pk}/").content.decode()
    assert "Version 0.1.0; 0.2.0 is available." in text
    answer = client.post(page(device, "install"), body(release), follow=True)
    assert "Version 0.2.0 is going to be installed." in answer.content.decode()
    request = reported(device, keys)["request"]
    reported(device, keys, update=said(request, "failed", code="room", problem="12 <b> MB"))
    live = client.get(page(device, "live")).content.decode()
    assert "There is too little space on the device." in live
    assert "12 &lt;b&gt; MB" in live
    assert "Install between sessions" in live


@pytest.mark.parametrize(
    ("name", "status"),
    [
        *((each, 404) for each in ("carl", "ella", "otto", "liv", "conny", "hana")),
        ("forged", 403),
        ("nobody", 302),
    ],
)
def test_nobody_else_presses_its_buttons(everybody, keys, release, name, status):
    reported(everybody.device, keys)
    for action in ("install", "withdraw"):
        answer = browser(name).post(page(everybody.device, action), body(release))
        assert answer.status_code == status
    assert Update.objects.get().request is None


def test_a_device_without_the_key_says_what_to_do(world, keys, release):
    updates.report(fresh(world.device), report())
    text = browser("anna").get(f"/devices/{world.device.pk}/").content.decode()
    assert "blink-agent release trust" in text
    assert "Install between sessions" not in text


def test_old_devices_are_marked_where_devices_are_listed(everybody, keys, release):
    for client, where in (
        (browser("anna"), "/devices/"),
        (browser("irma"), "/institution/people/anna/"),
    ):
        assert "update available" not in client.get(where).content.decode()
        reported(everybody.device, keys)
        assert "update available" in client.get(where).content.decode(), where
        Update.objects.all().delete()


@pytest.mark.parametrize("state", UpdateState.values)
def test_every_state_has_its_sentence_in_both_languages(world, keys, release, state):
    asked(world, keys, release)
    Update.objects.update(state=state, percent=7, code="installer")
    texts = set()
    for language in ("en", "de"):
        answer = browser("anna").get(
            page(world.device, "live"), headers={"Accept-Language": language}
        )
        found = answer.content.decode()
        assert "0.2.0" in found
        assert "%%" not in found
        texts.add(found)
    assert len(texts) == 2
