"""Pages while a session goes on: what is drawn again, and what is not."""

import re
from datetime import timedelta

from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from server.care.models import CareLink
from server.session_data.models import SessionData
from tests.server.dashboard.browsing import measured, words_of


def test_only_a_session_under_way_refreshes_itself(world, browser):
    under_way = measured(world.device, timedelta(minutes=2), name="checkpoint")
    over = measured(world.device)
    assert b"data-every" in browser("carl").get(f"/sessions/{under_way}/").content
    for address in (f"/sessions/{over}/", f"/sessions/{over}/live/"):
        assert b"data-every" not in browser("carl").get(address).content


def test_the_version_of_a_page_changes_with_the_revision_and_with_silence(world, browser):
    session_id = measured(world.device, timedelta(minutes=2), name="checkpoint")

    def version() -> str:
        page = browser("carl").get(f"/sessions/{session_id}/live/").content.decode()
        return re.search('data-version="([^"]*)"', page)[1]

    first = version()
    assert version() == first
    SessionData.objects.update(revision=99)
    later = version()
    SessionData.objects.update(updated_at=timezone.now() - timedelta(hours=1))
    assert len({first, later, version()}) == 3
    assert "no signal for 1 hour" in words_of(browser("carl").get("/"))


def unchanged(client: Client, address: str) -> int:
    """Ask for the live part again, as live.js does."""
    page = client.get(address).content.decode()
    version = re.search('data-version="([^"]*)"', page)[1]
    return client.get(address, headers={"If-None-Match": f'"{version}"'}).status_code


def test_a_live_part_that_has_not_changed_is_not_drawn_again(world, browser, monkeypatch):
    session_id = measured(world.device, timedelta(minutes=2), name="checkpoint")
    addresses = ["/live/", "/people/anna/now/", f"/sessions/{session_id}/live/"]
    carl = browser("carl")
    assert [unchanged(carl, address) for address in addresses] == [304] * 3
    version = '"1-en"'
    for change in ({"revision": 99}, {"updated_at": timezone.now() + timedelta(seconds=9)}):
        SessionData.objects.update(**change)
        headers = {"If-None-Match": version}
        assert [carl.get(each, headers=headers).status_code for each in addresses] == [200] * 3


def test_nothing_of_a_session_is_read_to_say_that_it_has_not_changed(world, browser):
    session_id = measured(world.device, timedelta(minutes=2), name="checkpoint")
    carl, address = browser("carl"), f"/sessions/{session_id}/live/"
    version = re.search('data-version="([^"]*)"', carl.get(address).content.decode())[1]
    with CaptureQueriesContext(connection) as found:
        answer = carl.get(address, headers={"If-None-Match": f'"{version}"'})
    assert (answer.status_code, answer.content) == (304, b"")
    assert not [query for query in found if "document_json" in query["sql"]]
    assert len(found) <= 6


def test_an_unchanged_part_is_kept_from_whoever_may_no_longer_see_it(world, browser):
    session_id = measured(world.device, timedelta(minutes=2), name="checkpoint")
    carl, address = browser("carl"), f"/sessions/{session_id}/live/"
    version = re.search('data-version="([^"]*)"', carl.get(address).content.decode())[1]
    CareLink.objects.get(caregiver=world.carl, ended_at=None).end()
    headers = {"If-None-Match": f'"{version}"'}
    assert carl.get(address, headers=headers).status_code == 404
    assert browser().get(address, headers=headers).status_code == 302


def test_a_part_is_drawn_again_in_another_language(world, browser):
    session_id = measured(world.device, timedelta(minutes=2), name="checkpoint")
    carl, address = browser("carl"), f"/sessions/{session_id}/live/"
    version = re.search('data-version="([^"]*)"', carl.get(address).content.decode())[1]
    headers = {"If-None-Match": f'"{version}"', "Accept-Language": "de"}
    assert carl.get(address, headers=headers).status_code == 200
