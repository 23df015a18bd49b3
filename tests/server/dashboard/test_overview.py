"""The people's page for many people: who comes first, search, pages, and what it costs."""

import re
from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from server.alerts.models import Acknowledgement, Alert
from server.care.models import AccessLog, CareLink, Permission, Person
from server.dashboard import overview
from server.devices.models import Device
from server.session_data.accept import accept_session
from tests.server.conftest import golden
from tests.server.dashboard.browsing import measured, text_of, words_of


def ward(world, *names):
    """People whom Carl sees, each with a device that is connected."""
    found = []
    for name in names:
        person = Person.objects.create(username=name, timezone="UTC")
        CareLink.objects.create(caregiver=world.carl, person=person)
        seen = {"online": True, "last_seen_at": timezone.now()}
        found.append(Device.objects.create(person=person, label="x", **seen))
    return found


def names_on(page):
    return re.findall(r'id="person-\d+" href="/people/([^/]*)/"', page.content.decode())


def just_now(device, **changes):
    """A session that ended a moment ago, in whatever zone that is."""
    started_at = timezone.now() - timedelta(minutes=5)
    document = golden("final", started_at=text_of(started_at), **changes)
    document["ended_at"] = text_of(timezone.now() - timedelta(seconds=1))
    document["clock"] = {"synchronized": True, "timezone": "UTC", "utc_offset_minutes": 0}
    assert accept_session(device, document).outcome == "stored"


def test_who_may_need_attention_comes_first(world, browser):
    CareLink.objects.filter(caregiver=world.carl).delete()
    calm, idle, odd, silent, alert = ward(world, "a-calm", "b-idle", "c-odd", "d-silent", "e-alert")
    for device in (calm, odd, silent, alert):
        for days in range(1, 9):
            measured(device, timedelta(days=days), metrics={"blink_rate_per_min": 12.0 + days})
        rate = 40.0 if device is odd else 16.0
        just_now(device, metrics=golden("final")["metrics"] | {"blink_rate_per_min": rate})
    measured(idle, timedelta(days=2))  # on an earlier day in every zone
    Device.objects.filter(pk=silent.pk).update(online=False)
    Alert.objects.create(
        receiver=world.carl, person=alert.person, kind="device_silent", opened_at=timezone.now()
    )
    CareLink.objects.filter(person=alert.person).update(may_get_alerts=True)
    page = browser("carl").get("/")
    assert names_on(page) == ["e-alert", "c-odd", "d-silent", "b-idle", "a-calm"]
    cards = page.content.decode().split("<article")
    assert [("open alert" in card, "unusual today" in card) for card in cards[1:]] == [
        (True, False),
        (False, True),
        (False, False),
        (False, False),
        (False, False),
    ]


def test_an_alert_that_somebody_looks_after_needs_no_attention_and_stays_to_be_seen(world, browser):
    CareLink.objects.filter(caregiver=world.carl).delete()
    (device,) = ward(world, "zoe")
    CareLink.objects.filter(person=device.person).update(may_get_alerts=True)
    about = {"person": device.person, "kind": "device_silent", "cause": str(device.pk)}
    Alert.objects.create(receiver=world.carl, opened_at=timezone.now(), **about)
    badge = '<span class="count">1'
    before = browser("carl").get("/").content.decode()
    assert "open alert</span>" in before
    assert badge in before
    Acknowledgement.objects.create(by=world.anna, at=timezone.now(), **about)
    for address in ("/", "/people/zoe/"):
        page = browser("carl").get(address).content.decode()
        assert f"alert looked after by {world.anna.label}" in page
        assert "open alert<" not in page
        assert badge not in page
    Acknowledgement.objects.update(ended_at=timezone.now())
    assert badge in browser("carl").get("/").content.decode()


def test_a_card_names_the_time_zone_of_whom_another_clock_shows(world, browser):
    CareLink.objects.filter(caregiver=world.carl).delete()
    ward(world, "zoe")
    Person.objects.filter(username="zoe").update(timezone="Asia/Kolkata")
    Person.objects.filter(username="carl").update(timezone="Europe/Berlin")
    assert "Times: Asia/Kolkata, UTC+5:30" in words_of(browser("carl").get("/"))
    Person.objects.filter(username="carl").update(timezone="Asia/Colombo")  # the same clock
    assert "Times:" not in words_of(browser("carl").get("/"))


def test_a_card_says_how_today_is_while_a_session_runs(world, browser):
    CareLink.objects.filter(caregiver=world.carl).delete()
    (device,) = ward(world, "zoe")
    measured(device, timedelta(minutes=1), "checkpoint")
    shown = words_of(browser("carl").get("/"))
    assert "Session running since" in shown
    assert "Not enough data yet" in shown


def test_among_many_people_a_card_is_short_and_keeps_what_needs_a_look(world, browser, forty):
    fine = Device.objects.get(person__username="p00")
    for days in (0, 1, 1):
        measured(fine, timedelta(days=days, hours=1))
    Device.objects.filter(pk=fine.pk).update(online=True, label="Bright room")
    page = browser("carl").get("/?q=p00").content.decode()
    assert "Last session" in page
    assert "Bright room" not in page
    assert "Yesterday" not in page
    Device.objects.filter(pk=fine.pk).update(online=False)
    assert "Bright room" in browser("carl").get("/?q=p00").content.decode()


def test_a_new_account_is_offered_to_add_a_device(world, browser):
    for address in ("/", "/people/carl/"):
        assert re.search(
            r'href="/devices/"[^>]*>Add a device<', browser("carl").get(address).content.decode()
        )


def test_an_outage_is_said_in_one_line(world, browser):
    devices = ward(world, "ada", "ben", "cleo")
    Device.objects.filter(pk__in=[each.pk for each in devices]).update(online=False)
    assert "The devices of 3 people are not connected" in browser("carl").get("/").content.decode()
    Device.objects.filter(pk=devices[0].pk).update(online=True)
    assert "check the network first" not in browser("carl").get("/").content.decode()


def test_an_alert_of_somebody_else_or_a_withdrawn_one_is_no_reason(world, browser):
    (device,) = ward(world, "zoe")
    opened = {"person": device.person, "kind": "device_silent", "opened_at": timezone.now()}
    Alert.objects.create(receiver=world.anna, **opened)
    Alert.objects.create(receiver=world.carl, **opened)
    assert b"open alert" not in browser("carl").get("/").content  # alerts are not shared with him


@pytest.fixture
def forty(world):
    ward(world, *(f"p{n:02}" for n in range(38)))


def test_many_people_come_in_pages_and_each_once(world, browser, forty):
    client, seen, address = browser("carl"), [], "/"
    while address:
        page = client.get(address)
        seen.append(names_on(page))
        found = re.search(r'rel="next" href="([^"]*)"', page.content.decode())
        address = found[1].replace("&amp;", "&") if found else ""
    assert [len(each) for each in seen] == [overview.PAGE, 39 - overview.PAGE]
    assert len({name for each in seen for name in each}) == 39
    assert "26 to 40 of 40 people" in words_of(client.get("/?page=2"))
    for odd in ("0", "-1", "x", "999", "%00"):
        assert client.get(f"/?page={odd}").status_code == 200


def test_people_are_found_by_name(world, browser, forty):
    Person.objects.filter(username="p07").update(first_name="Émile", last_name="Groß")
    client = browser("carl")
    for text in ("émil", "GROSS", " p07 "):
        assert names_on(client.get("/", {"q": text})) == ["p07"]
    shown = client.get("/", {"q": "<b>nobody"})
    assert "No name contains “&lt;b&gt;nobody”." in words_of(shown)
    live = re.search(r'data-live="([^"]*)"', client.get("/", {"q": "p0"}).content.decode())[1]
    found = names_on(client.get(live.replace("&amp;", "&")))
    assert sorted(found) == [f"p{n:02}" for n in range(10)]
    Person.objects.create(username="p99")
    assert names_on(client.get("/?q=p99")) == []  # shares nothing with him


def test_few_people_need_no_search(world, browser):
    assert b'type="search"' not in browser("carl").get("/").content


def test_only_those_on_the_page_are_written_down_as_seen(world, browser, forty):
    shown = names_on(browser("carl").get("/?q=p1"))
    looked = AccessLog.objects.filter(what="people").values_list("person__username", flat=True)
    assert sorted(looked) == sorted(shown)


def test_pages_of_people_take_a_fixed_number_of_queries(world, browser, forty):
    client = browser("carl")

    def queries(address):
        client.get(address)
        with CaptureQueriesContext(connection) as found:
            client.get(address)
        return len(found)

    many = queries("/")
    CareLink.objects.filter(person__username__gt="p02").delete()
    assert queries("/") == many


@pytest.mark.parametrize(
    "change",
    [
        lambda world: measured(world.device, timedelta(days=9)),
        lambda world: Device.objects.filter(pk=world.device.pk).update(pending_sessions=3),
        lambda world: Person.objects.filter(pk=world.anna.pk).update(first_name="Änne"),
        lambda world: CareLink.objects.get(caregiver=world.carl, ended_at=None).end(),
    ],
)
def test_the_overview_is_drawn_again_when_something_has_changed(world, browser, change):
    measured(world.device)
    client = browser("carl")

    def version():
        return re.search('data-version="([^"]*)"', client.get("/live/").content.decode())[1]

    before = version()
    change(world)
    assert client.get("/live/", headers={"If-None-Match": f'"{before}"'}).status_code == 200


def test_times_in_the_overview_are_at_most_five_minutes_old(world, monkeypatch):
    now = timezone.now()
    people, given = [world.anna], {world.anna.pk: {Permission.LIVE}}
    signs = overview.signs_of(world.carl, people, given, now)
    versions = {
        overview.version_of(people, given, signs, now + timedelta(minutes=n)) for n in range(11)
    }
    assert len(versions) in (3, 4)
