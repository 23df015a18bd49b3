"""A person gives each caregiver what they wish: each permission alone opens its part, and no other.

Anna has a session that is over and one under way; Carl's link is given one permission at a time.
"""

import pytest
from django.test import Client

from server.care import audit
from server.care.access import ALL, people_seen, permissions, visible_people
from server.care.models import COLUMNS, AuditEntry, AuditEvent, CareLink, Permission
from server.session_data.accept import accept_session
from tests.server.conftest import golden

NONE = frozenset()
EACH = [NONE, *({each} for each in Permission)]


@pytest.fixture(autouse=True)
def no_broker(settings):
    settings.MQTT_URL = "mqtt://127.0.0.1:1"


@pytest.fixture
def sessions(world):
    """The ids of one that is over, and of one under way."""
    documents = [golden("final"), golden("started")]
    for document in documents:
        assert accept_session(world.device, document).outcome == "stored"
    return [document["session_id"] for document in documents]


def give(world, given):
    link = CareLink.objects.get(caregiver=world.carl, ended_at=None)
    link.permit(given)
    link.save()
    return link


@pytest.mark.parametrize("given", EACH)
def test_each_permission_opens_its_part_of_the_api_and_no_other(world, api, sessions, given):
    give(world, given)
    past, live = sessions
    carl = api("carl")
    history = Permission.HISTORY in given
    assert (carl.get("/api/session/history/", user="anna").status_code == 200) == history
    assert (carl.get(f"/api/session/{past}/").status_code == 200) == history
    sees_live = Permission.LIVE in given
    assert (carl.get(f"/api/session/{live}/").status_code == 200) == sees_live
    answer = carl.get("/api/session/history/", user="anna", state="active")
    assert (answer.status_code == 200) == sees_live
    asked = carl("POST", "/api/session/start/", {"device": str(world.device.pk)})
    stopped = carl("POST", f"/api/session/{live}/end/", {})
    expected = 503 if Permission.CONTROL in given else 404  # no broker is there
    assert (asked.status_code, stopped.status_code) == (expected, expected)


@pytest.mark.parametrize("given", EACH)
def test_each_permission_opens_its_part_of_the_pages_and_no_other(world, sessions, given):
    give(world, given)
    past, live = sessions
    browser = Client()
    browser.force_login(world.carl)
    shows = {
        "/people/anna/now/": Permission.LIVE,
        f"/sessions/{past}/": Permission.HISTORY,
        f"/sessions/{live}/": Permission.LIVE,
        f"/sessions/{live}/live/": Permission.LIVE,
    }
    for address, needed in shows.items():
        assert (browser.get(address).status_code == 200) == (needed in given), address
    page = browser.get("/people/anna/")
    assert (page.status_code == 200) == bool(set(given) & {Permission.HISTORY, Permission.LIVE})
    assert (past in page.content.decode()) == (Permission.HISTORY in given)
    assert (live in page.content.decode()) == (Permission.LIVE in given)
    seen = f"person-{world.anna.pk}" in browser.get("/").content.decode()
    assert seen == bool(set(given) & {Permission.HISTORY, Permission.LIVE})


def test_a_list_leaves_out_what_is_not_permitted(world, api, sessions):
    past, live = sessions

    def listed():
        found = api("carl").get("/api/session/history/", user="anna").json()["results"]
        return {each["id"] for each in found}

    give(world, {Permission.HISTORY, Permission.LIVE})
    assert listed() == {past, live}
    give(world, {Permission.HISTORY})
    assert listed() == {past}
    browser = Client()
    browser.force_login(world.carl)
    assert live not in browser.get("/people/anna/").content.decode()
    assert "mark-live" not in browser.get("/").content.decode()


def test_a_permission_that_is_taken_is_gone_with_the_next_request(world, api, sessions):
    assert api("carl").get("/api/session/history/", user="anna").status_code == 200
    give(world, {Permission.LIVE})
    assert api("carl").get("/api/session/history/", user="anna").status_code == 404


def test_one_may_do_all_with_oneself_and_nothing_with_a_stranger(world):
    assert permissions(world.anna, world.anna) == ALL == set(COLUMNS)
    assert permissions(world.otto, world.anna) == NONE
    assert permissions(world.ella, world.anna) == NONE  # it ended
    assert permissions(world.anna, world.carl) == NONE  # of one direction


@pytest.mark.parametrize("permission", Permission)
def test_visible_people_are_those_who_give_that_permission(world, permission):
    give(world, {permission})
    for asked in Permission:
        names = [each.username for each in visible_people(world.carl, asked)]
        assert names == (["anna", "carl"] if asked == permission else ["carl"])


def test_who_is_seen_takes_two_queries(world, django_assert_num_queries):
    with django_assert_num_queries(2):
        people, given = people_seen(world.carl)
    assert [each.username for each in people] == ["anna", "carl"]
    assert given[world.carl.pk] == ALL


def test_the_audit_log_keeps_names_when_accounts_are_gone(world):
    audit.note(world.carl, AuditEvent.EXPORTED, world.anna, "x" * 1000 + "\x00")
    world.carl.delete()
    entry = AuditEntry.objects.get(event=AuditEvent.EXPORTED)
    assert (entry.actor, entry.actor_name, entry.subject_name) == (None, "carl", "anna")
    assert len(entry.detail) == AuditEntry.LONGEST_DETAIL
    assert list(audit.entries_of(world.anna)) == [entry]
    assert not audit.entries_of(world.otto)
