"""The caregivers' pages as a browser without scripts gets them: who sees what, and what it says."""

import re
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from server.care.models import AccessLog, CareLink, Permission, Person
from server.session_data.accept import accept_session
from server.session_data.models import SessionData
from tests.server.conftest import golden
from tests.server.dashboard.browsing import measured, text_of, words_of

# Who sees what


def pages(session_id: str, person: str = "anna") -> list[str]:
    session = f"/sessions/{session_id}/"
    return ["/", "/live/", f"/people/{person}/", session, f"{session}live/"]


def test_nobody_sees_a_page_without_logging_in(world, browser):
    for address in pages(measured(world.device)):
        response = browser().get(address)
        assert (response.status_code, response.url) == (302, f"/login/?next={address}")


@pytest.mark.parametrize("name", ["anna", "carl"])
def test_a_person_and_their_caregiver_see_every_page(world, browser, name):
    for address in pages(measured(world.device)):
        assert browser(name).get(address).status_code == 200


def without_tokens(response: Any) -> str:
    page = re.sub(r'name="csrfmiddlewaretoken" value="\w+"', "", response.content.decode())
    return re.sub(r'name="next" value="[^"]*"', "", page)


@pytest.mark.parametrize("name", ["otto", "ella"])
def test_for_an_outsider_a_person_does_not_exist(world, browser, name):
    client, session_id = browser(name), measured(world.device)
    nobody = [client.get(address) for address in pages(str(uuid.uuid4()), "nobody")[2:]]
    found = [client.get(address) for address in pages(session_id)[2:]]
    assert [response.status_code for response in found] == [404] * 3
    assert list(map(without_tokens, found)) == list(map(without_tokens, nobody))
    assert "anna" not in words_of(client.get("/"))


def test_rank_opens_nothing(world, browser):
    Person.objects.filter(pk=world.otto.pk).update(is_staff=True, is_superuser=True)
    for address in pages(measured(world.device))[2:]:
        assert browser("otto").get(address).status_code == 404


def test_an_ended_link_closes_every_page_at_the_next_request(world, browser):
    client, session_id = browser("carl"), measured(world.device)
    assert client.get("/people/anna/").status_code == 200
    CareLink.objects.get(caregiver=world.carl, ended_at=None).end()
    assert [client.get(address).status_code for address in pages(session_id)[2:]] == [404] * 3


def test_a_device_of_two_lives_stays_with_whom_it_measured(world, browser):
    session_id = measured(world.device)
    world.device.person = world.otto
    world.device.save()
    assert browser("otto").get(f"/sessions/{session_id}/").status_code == 404
    assert browser("anna").get(f"/sessions/{session_id}/").status_code == 200


def test_whoever_looks_is_written_down_for_the_person(world, browser):
    session_id = measured(world.device)
    for address in pages(session_id):
        browser("carl").get(address)
        browser("anna").get(address)
    looks = AccessLog.objects.filter(person=world.anna)
    seen = {(look.viewer_name, look.what, str(look.session_id or "")) for look in looks}
    assert seen == {
        ("carl", "people", ""),
        ("carl", "history", ""),
        ("carl", "session", session_id),
    }


def test_pages_are_kept_by_no_cache_and_allow_nothing_foreign(world, browser):
    response = browser("carl").get("/people/anna/")
    assert {"no-store", "private"} <= set(response.headers["Cache-Control"].split(", "))
    policy = response.headers["Content-Security-Policy"]
    assert "unsafe" not in policy
    assert "default-src 'none'" in policy
    assert not re.search(
        r"\bstyle=|<style|<script(?! type=\"module\" src=\"/static/)", str(response.content)
    )


@pytest.mark.parametrize(
    "address", ["/", "/people/anna/", "/sessions/0193a1b2-7c3d-7e4f-8a5b-6c7d8e9f0a1b/"]
)
def test_pages_are_for_reading(world, browser, address):
    assert browser("anna").post(address).status_code == 405


# How many questions it asks


def queries_of(client: Client, address: str) -> int:
    client.get(address)  # the log of looks is begun
    with CaptureQueriesContext(connection) as found:
        assert client.get(address).status_code == 200
    return len(found)


def test_a_long_history_asks_the_database_no_more_than_a_short_one(world, browser):
    client, session_id = browser("carl"), measured(world.device)
    addresses = ["/", "/people/anna/?days=90", f"/sessions/{session_id}/"]
    few = [queries_of(client, address) for address in addresses]
    for n in range(60):
        measured(world.device, timedelta(days=1 + n % 80, hours=n % 9))
    assert [queries_of(client, address) for address in addresses] == few
    assert max(few) <= 19


def test_no_list_reads_documents(world, browser):
    measured(world.device)
    for address in ("/", "/people/anna/"):
        with CaptureQueriesContext(connection) as found:
            browser("carl").get(address)
        assert not [query for query in found if "document_json" in query["sql"]]


# What it says


def test_zero_is_shown_as_zero_and_null_as_not_measured(world, browser):
    still = measured(
        world.device, metrics={"blink_count": 0, "partial_blink_count": 0, "perclos": 0.0}
    )
    unseen = measured(world.device, timedelta(days=2), name="no_face")
    shown = words_of(browser("anna").get(f"/sessions/{still}/"))
    assert "PERCLOS 0.0 % of time" in shown
    assert "Blinks 0 How often the eyes closed" in shown
    shown = words_of(browser("anna").get(f"/sessions/{unseen}/"))
    assert "PERCLOS not measured The eyes were not seen." in shown
    assert "Blinks not measured How often the eyes closed" in shown
    assert "Coverage 0 % measured" in shown


def test_a_session_says_how_far_each_eye_closes_and_an_older_one_nothing_new(world, browser):
    one_eye = measured(world.device, name="final_one_eye")
    page = browser("carl").get(f"/sessions/{one_eye}/")
    shown = words_of(page)
    assert "In a typical blink the left eye closes by 8 %, the right by 88 %." in shown
    assert "The left eye closed less than the right. In the median of 11 blinks" in shown
    assert "Eye aspect ratio, open 0.318 0.306" in shown
    assert "Blinks in which only the other eye closed 11 0" in shown
    assert "Looking down could not be distinguished from closed eyes." in shown
    assert "Left eye, %" in shown
    eyes = measured(world.device, timedelta(days=2), name="final_eyes")
    shown = words_of(browser("carl").get(f"/sessions/{eyes}/"))
    assert "Looking down 12 % of the time." in shown
    assert "closed less than" not in shown
    older = measured(world.device, timedelta(days=3))
    shown = words_of(browser("carl").get(f"/sessions/{older}/"))
    assert not re.search(r"(?i)left eye|right eye|looking down", shown)


def test_a_session_under_way_says_it_too_and_in_german(world, browser):
    live = measured(world.device, timedelta(minutes=1), name="checkpoint_eyes")
    carl = browser("carl")
    shown = words_of(carl.get(f"/sessions/{live}/", headers={"Accept-Language": "de"}))
    assert "schließt sich das linke Auge um 80 %, das rechte um 84 %." in shown
    assert "Blick nach unten in 3 % der Zeit." in shown
    assert "war ein zweites Gesicht im Bild." in shown
    assert "Das Kamerabild stand nicht aufrecht" in shown


def test_the_table_beside_a_chart_keeps_no_data_apart_from_zero(world, browser):
    measured(world.device, timedelta(days=2), metrics={"long_closure_count": 0})
    measured(world.device, timedelta(days=4), name="no_face")
    page = browser("anna").get("/people/anna/?days=7").content.decode()
    table = page.partition('id="table-long_closure_count"')[2].partition("</table>")[0]
    cells = re.findall(r"<td[^>]*>([^<]*)</td><td>(\d+)</td>", table)
    assert sorted(set(cells)) == [("0", "1"), ("no data", "0"), ("no data", "1")]


def test_every_day_of_the_range_is_in_the_table(world, browser):
    measured(world.device)
    for days in (7, 30, 90):
        page = browser("anna").get(f"/people/anna/?days={days}").content.decode()
        table = page.partition('id="table-perclos"')[2].partition("</table>")[0]
        assert table.count('<th scope="row">') == days


def test_a_session_belongs_to_the_day_it_ended_on_where_it_was_measured(world, browser):
    """23:58 in Berlin to 00:03, which is the day before in UTC."""
    day = timezone.now() - timedelta(days=3)
    start = datetime(day.year, day.month, day.day, 22, 58, tzinfo=UTC)
    zone = {"synchronized": True, "timezone": "Etc/GMT-1", "utc_offset_minutes": 60}
    document = golden("final", started_at=text_of(start), clock=zone)
    document["ended_at"] = text_of(start + timedelta(minutes=5))
    accept_session(world.device, document)
    shown = words_of(browser("carl").get("/people/anna/?days=7"))
    ended_on = (start + timedelta(minutes=62)).strftime("%a %-d %b")
    began_on = start.strftime("%a %-d %b")
    assert f"{ended_on} {began_on}, 23:58 – 00:03" in shown  # noqa: RUF001
    assert "Time zone: Europe/Berlin, UTC+" in shown


def test_what_to_know_about_a_session_is_said_beside_it(world, browser):
    measured(world.device, clock={"synchronized": False})
    measured(world.device, timedelta(days=2), metrics={"valid_s": 61.0})
    measured(world.device, timedelta(days=3), name="interrupted")
    shown = words_of(browser("carl").get("/people/anna/"))
    for mark in ("date uncertain", "short", "interrupted"):
        assert f" {mark} " in shown


def test_a_session_dated_1970_is_shown_where_it_arrived(world, browser):
    clock = {"synchronized": False, "timezone": "Europe/Berlin"}
    document = golden("final", started_at="1970-01-01T00:00:10Z", clock=clock)
    accept_session(world.device, document | {"ended_at": "1970-01-01T00:05:10Z"})
    measured(world.device, timedelta(days=1))
    page = browser("carl").get("/people/anna/?days=7")
    shown = words_of(page)
    assert re.search(r"arrived \d\d:\d\d date uncertain", shown)
    listed = page.content.decode().partition('class="history"')[2]
    assert re.search(r"/sessions/([^/]*)/", listed)[1] == document["session_id"]
    session_page = words_of(browser("carl").get(f"/sessions/{document['session_id']}/"))
    assert "began on Thursday 1 January 1970 at 01:00" in session_page


def test_an_uncertain_date_is_in_no_figure_of_days(world, browser):
    measured(world.device, timedelta(days=1), metrics={"blink_rate_per_min": 12.0})
    odd = {"metrics": {"blink_rate_per_min": 40.0}, "clock": {"synchronized": False}}
    measured(world.device, timedelta(days=1), **odd)
    page = browser("anna").get("/people/anna/?days=7").content.decode()
    table = page.partition('id="table-blink_rate_per_min"')[2].partition("</table>")[0]
    assert "12.0" in table
    assert not re.search(r"40\.0|26\.0", table)


def test_a_document_of_a_newer_agent_has_a_page(world, browser):
    session_id = measured(world.device, schema=2, minutes={"packed": "x"}, blinks=[[1, 2]])
    shown = words_of(browser("carl").get(f"/sessions/{session_id}/"))
    assert "No minute of this session could be measured." in shown


def test_names_are_shown_as_they_are(world, browser):
    Person.objects.filter(pk=world.anna.pk).update(first_name="<script>alert(1)</script>")
    page = browser("carl").get("/people/anna/").content.decode()
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert(1)" in page


def test_the_history_is_paged_and_shows_every_session_once(world, browser):
    made = {measured(world.device, timedelta(hours=24 + n)) for n in range(60)}
    client, address, seen = browser("carl"), "/people/anna/", []
    for _page in range(3):
        page = client.get(address).content.decode()
        seen += re.findall(r'<tr>\s*<th scope="row"><a href="/sessions/([^/]*)/', page)
        link = re.search(r'rel="next" href="([^"]*)"', page)
        address = "/people/anna/" + link[1].replace("&amp;", "&") if link else ""
    assert address == ""
    assert len(seen) == 60
    assert set(seen) == made


@pytest.mark.parametrize(
    "query", ["cursor=%00", "cursor=abc", "days=x&until=y", "until=9999-12-31"]
)
def test_a_nonsense_address_shows_the_newest(world, browser, query):
    session_id = measured(world.device)
    page = browser("carl").get(f"/people/anna/?{query}")
    assert f"/sessions/{session_id}/" in page.content.decode()


def test_a_person_without_sessions_has_a_page(browser):
    shown = words_of(browser("carl").get("/people/carl/"))
    assert "No sessions yet. Once a device has sent a session" in shown


def test_days_without_sessions_have_a_page(world, browser):
    measured(world.device, timedelta(days=40))
    shown = words_of(browser("carl").get("/people/anna/"))
    assert "No sessions in this period." in shown
    assert "Blink rate no data" in shown


def test_it_says_that_it_is_no_diagnosis(world, browser):
    for address in pages(measured(world.device))[2:4]:
        assert "makes no diagnosis" in words_of(browser("carl").get(address))


# From a person to their sessions


def test_yesterdays_sessions_are_one_click_away(world, browser):
    today = measured(world.device, timedelta())
    noon = timezone.localtime(timezone=ZoneInfo("Europe/Berlin")).replace(hour=12)
    ago = timezone.now() - noon + timedelta(days=1)
    made = [measured(world.device, ago + timedelta(minutes=10 * n)) for n in range(2)]
    head = browser("carl").get("/people/anna/").content.decode().partition('id="live-says"')[0]
    assert re.findall(r'/sessions/([^/]*)/">', head) == [today, *made[::-1]]
    for n in range(4):
        measured(world.device, ago + timedelta(minutes=30 + n))
    head = browser("carl").get("/people/anna/").content.decode().partition('id="live-says"')[0]
    assert head.count("/sessions/") == 5
    link = re.search(r'href="([^"]*)">all</a>', head)[1].replace("&amp;", "&")
    page = browser("carl").get(link).content.decode()
    assert page.partition('class="history"')[2].count('scope="row"') == 6


def test_the_only_session_of_yesterday_is_not_said_twice(world, browser):
    noon = timezone.localtime(timezone=ZoneInfo("Europe/Berlin")).replace(hour=12)
    measured(world.device, timezone.now() - noon + timedelta(days=1))
    shown = words_of(browser("carl").get("/people/anna/"))
    assert "Last session yesterday" in shown
    assert "Yesterday:" not in shown


def test_a_day_lists_its_sessions_alone_and_the_period_stays(world, browser):
    made = [measured(world.device, timedelta(days=n)) for n in (1, 2, 3)]
    day = SessionData.objects.get(pk=made[1]).local_day
    page = browser("carl").get(f"/people/anna/?days=7&day={day}#sessions").content.decode()
    listed = page.partition('class="history"')[2]
    assert re.findall(r'<a href="/sessions/([^/]*)/', listed) == [made[1]]
    assert 'href="?days=7#sessions">All sessions of the period' in page
    for wrong in ("2020-01-01", "x", "%00"):
        page = browser("carl").get(f"/people/anna/?days=7&day={wrong}").content.decode()
        assert page.partition('class="history"')[2].count("/sessions/") == 3


def test_a_list_says_how_many_sessions_it_shows_and_can_show_all(world, browser):
    for n in range(30):
        measured(world.device, timedelta(days=1 + n % 5, hours=n))
    client = browser("carl")
    page = client.get("/people/anna/")
    assert "25 of 30 sessions. Show all 30" in words_of(page)
    link = re.search(r'href="([^"]*)">Show all', page.content.decode())[1].replace("&amp;", "&")
    page = client.get("/people/anna/" + link)
    assert page.content.decode().partition('class="history"')[2].count('<th scope="row">') == 30
    assert " 30 sessions. " in words_of(page)
    assert "of 30" not in words_of(page)


def test_a_session_leads_to_the_ones_before_and_after_it(world, browser):
    made = [measured(world.device, timedelta(days=n)) for n in (3, 2, 1)]
    live = measured(world.device, timedelta(minutes=2), name="checkpoint")
    measured(world.other_device, timedelta(days=2, hours=1))

    def ways(session_id: str, name: str = "carl") -> list[tuple[str, str]]:
        page = browser(name).get(f"/sessions/{session_id}/").content.decode()
        return re.findall(r'rel="(prev|next)" href="/sessions/([^/]*)/"', page)

    assert ways(made[0]) == [("next", made[1])]
    assert ways(made[1]) == [("prev", made[0]), ("next", made[2])]
    assert ways(made[2], "anna") == [("prev", made[1]), ("next", live)]
    assert ways(live, "anna") == [("prev", made[2])]
    link = CareLink.objects.get(caregiver=world.carl, ended_at=None)
    link.permit({Permission.HISTORY})
    link.save()
    assert ways(made[2]) == [("prev", made[1])]  # running sessions are not for him


def test_sessions_that_began_at_the_same_time_are_each_reached_once(world, browser):
    ago = timedelta(days=1)
    made = {measured(world.device, ago) for _n in range(4)}
    SessionData.objects.update(started_at=timezone.now() - ago)
    client, seen = browser("anna"), []
    newest = SessionData.objects.order_by("-placed_at", "-id").first().pk
    address = f"/sessions/{newest}/"
    while address and len(seen) < 9:
        seen.append(address.split("/")[2])
        page = client.get(address).content.decode()
        found = re.search(r'rel="prev" href="([^"]*)"', page)
        address = found[1] if found else ""
    assert len(seen) == 4
    assert set(seen) == made
