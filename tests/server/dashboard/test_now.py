"""The panel of what is going on now: devices, the session under way, the buttons and their result.

Who may see a person's history and who may see what goes on now are asked for one by one.
"""

import html
import re
from datetime import timedelta

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from server.care.access import note_looks
from server.care.models import AccessLog, CareLink, Permission, Person
from server.devices.models import Command, Device
from server.session_data.accept import accept_session
from server.session_data.commands import ask as commands
from server.session_data.models import SessionData
from tests.server.conftest import golden
from tests.server.dashboard.browsing import measured, words_of

PAGE, PANEL = "/people/anna/", "/people/anna/now/"
LOOK = {Permission.HISTORY, Permission.LIVE}


@pytest.fixture
def sent(monkeypatch):
    """What devices were asked, with a broker that takes everything."""
    told = []
    monkeypatch.setattr(commands, "_send", told.append)
    return told


@pytest.fixture
def carl(world):
    """His browser, and what he may: `carl(given)`."""

    def given(permissions):
        link = CareLink.objects.get(caregiver=world.carl, ended_at=None)
        link.permit(permissions)
        link.save()
        browser = Client()
        browser.force_login(world.carl)
        return browser

    return given


def live(device, **changes):
    return measured(device, timedelta(minutes=2), name="checkpoint", **changes)


def presence(device, **said):
    Device.objects.filter(pk=device.pk).update(**said)


# Devices


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ({"online": True, "ago": 10}, "Kitchen connected"),
        ({"online": False, "ago": 7300}, "Kitchen not connected Last seen 2 hours ago"),
        ({"online": False, "ago": 7300, "pending": 2}, "ago ; 2 unsent sessions"),
        ({"online": None, "ago": 300}, "Kitchen Last seen 5 minutes ago"),
        ({"online": None, "ago": None}, "Kitchen Not seen yet"),
    ],
)
def test_a_device_says_how_it_is(world, carl, said, words):
    ago = said["ago"]
    presence(
        world.device,
        online=said["online"],
        last_seen_at=None if ago is None else timezone.now() - timedelta(seconds=ago),
        pending_sessions=said.get("pending"),
    )
    assert words in words_of(carl(LOOK).get(PANEL)).replace("ago; ", "ago ; ")
    assert "Kitchen" in words_of(carl(LOOK).get("/"))


def test_presence_and_the_session_under_way_are_for_who_may_see_them(world, carl):
    session_id, past = live(world.device), measured(world.device)
    for address in ("/", PAGE):
        page = carl({Permission.HISTORY}).get(address).content.decode()
        assert "Kitchen" not in page
        assert session_id not in page
        assert "mark-live" not in page
    assert carl({Permission.HISTORY}).get(PANEL).status_code == 404
    page = carl({Permission.LIVE}).get(PAGE).content.decode()
    assert session_id in page
    assert past not in page
    assert "/api/session/export/" not in page
    assert "most days" not in carl({Permission.LIVE}).get("/").content.decode()


def test_a_session_under_way_is_in_the_panel_and_in_no_figure(world, carl):
    measured(world.device)
    session_id = live(world.device, metrics={"blink_rate_per_min": 33.3, "valid_s": 200.0})
    page = carl(LOOK).get(PAGE).content.decode()
    panel, _, rest = page.partition('class="section-head"')
    assert f"/sessions/{session_id}/" in panel
    assert "33.3" in panel
    assert "33.3" not in re.sub(r"<[^>]*>", " ", rest)
    assert session_id not in rest


def test_forgotten_sessions_do_not_fill_the_page(world, carl):
    for days in range(1, 9):
        measured(world.device, timedelta(days=days), name="checkpoint")
    page = carl(LOOK).get(PANEL).content.decode()
    assert page.count("now-session") == 3


# Buttons


def start_of(device):
    return f"/people/anna/devices/{device.pk}/start/"


def test_a_button_starts_a_session_and_the_panel_shows_what_became_of_it(world, carl, sent):
    presence(world.device, online=True, last_seen_at=timezone.now())
    browser = carl({*LOOK, Permission.CONTROL})
    assert start_of(world.device) in browser.get(PANEL).content.decode()
    answer = browser.post(start_of(world.device))
    assert (answer.status_code, answer.url) == (302, PAGE + "#now")
    (command,) = sent
    assert "Start request sent to Kitchen" in words_of(browser.get(PANEL))
    document = golden("started", session_id=str(command.session_id))
    accept_session(world.device, document | {"started_at": timezone.now().isoformat()})
    panel = browser.get(PANEL).content.decode()
    assert "Kitchen has started a session." in panel
    assert f'id="asked-session" href="/sessions/{command.session_id}/"' in panel
    assert start_of(world.device) not in panel  # it is busy


def test_a_button_ends_the_session_under_way(world, carl, sent):
    session_id = live(world.device)
    browser = carl({*LOOK, Permission.CONTROL})
    address = f"/people/anna/sessions/{session_id}/stop/"
    assert address in browser.get(PANEL).content.decode()
    assert address in browser.get(f"/sessions/{session_id}/live/").content.decode()
    assert browser.post(address).status_code == 302
    assert [(each.command, str(each.session_id)) for each in sent] == [("stop", session_id)]
    assert "Stop request sent to Kitchen" in words_of(browser.get(PANEL))
    SessionData.objects.update(state="ended", ended_at=timezone.now())
    assert "Kitchen has stopped the session." in words_of(browser.get(PANEL))


def test_what_is_not_answered_in_time_is_said(world, carl, sent):
    browser = carl({*LOOK, Permission.CONTROL})
    browser.post(start_of(world.device))
    Command.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    assert "did not respond in time" in words_of(browser.get(PANEL))
    Command.objects.update(asked_at=timezone.now() - timedelta(minutes=4))
    assert "did not respond in time" not in words_of(browser.get(PANEL))  # no news any more


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (
            commands.NotConnectedError("the device is not connected to the broker"),
            "Kitchen is not connected.",
        ),
        (commands.BrokerAwayError("the broker refused"), "The server can't reach Kitchen."),
    ],
)
def test_what_could_not_be_sent_is_said(world, carl, monkeypatch, error, words):
    def fail(_command):
        raise error

    monkeypatch.setattr(commands, "_send", fail)
    browser = carl({*LOOK, Permission.CONTROL})
    assert browser.post(start_of(world.device)).status_code == 302
    assert f"{words} Use the device's button." in html.unescape(words_of(browser.get(PANEL)))


def test_without_the_permission_there_is_no_button_and_behind_it_nothing(world, carl, sent):
    presence(world.device, online=True, last_seen_at=timezone.now())
    session_id = live(world.device)
    browser = carl(LOOK)
    addresses = [start_of(world.device), f"/people/anna/sessions/{session_id}/stop/"]
    page = browser.get(PAGE).content.decode()
    page += browser.get(f"/sessions/{session_id}/").content.decode()
    for address in addresses:
        assert address not in page
        assert browser.post(address).status_code == 404
        assert browser.get(address).status_code == 405
    outsider = Client()
    outsider.force_login(world.otto)
    assert [outsider.post(address).status_code for address in addresses] == [404, 404]
    assert Client().post(addresses[0]).status_code == 302
    assert sent == []


def test_a_device_of_somebody_else_or_a_revoked_one_is_not_asked(world, carl, sent):
    browser = carl({*LOOK, Permission.CONTROL})
    assert browser.post(start_of(world.other_device)).status_code == 404
    presence(world.device, revoked_at=timezone.now())
    assert browser.post(start_of(world.device)).status_code == 404
    over = measured(world.device)
    assert browser.post(f"/people/anna/sessions/{over}/stop/").status_code == 302
    assert sent == []


def test_a_button_asks_for_the_token_of_its_page(world, sent):
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(world.anna)
    assert browser.post(start_of(world.device)).status_code == 403
    assert sent == []


# How often it looks, what that costs, and who is told


def test_the_panel_looks_often_while_something_goes_on(world, carl):
    browser = carl(LOOK)

    def asked(name):
        return re.search(rf'data-{name}="([^"]*)"', browser.get(PANEL).content.decode())[1]

    assert asked("every") == "30"
    quiet = asked("version")
    assert asked("version") == quiet
    live(world.device)
    assert asked("every") == "5"
    busy = asked("version")
    SessionData.objects.update(updated_at=timezone.now() + timedelta(seconds=5))
    assert len({quiet, busy, asked("version")}) == 3


def test_the_page_of_people_takes_as_many_queries_for_many_as_for_few(world, carl):
    browser = carl(LOOK)

    def queries():
        browser.get("/")
        with CaptureQueriesContext(connection) as found:
            assert browser.get("/").status_code == 200
        return len(found)

    measured(world.device)
    few = queries()
    for n in range(12):
        person = Person.objects.create(username=f"p{n}", timezone="Europe/Berlin")
        CareLink.objects.create(caregiver=world.carl, person=person)
        device = Device.objects.create(person=person, label="x")
        live(device)
        measured(device)
    assert queries() == few


def test_a_look_at_many_is_noted_for_each_once_in_ten_minutes(world):
    people = [world.anna, world.otto, world.carl]
    note_looks(world.carl, people[:1], "people")
    note_looks(world.carl, people, "people")
    looks = {(each.person, each.views) for each in AccessLog.objects.all()}
    assert looks == {(world.anna, 2), (world.otto, 1)}
    AccessLog.objects.update(last_at=timezone.now() - timedelta(minutes=11))
    note_looks(world.carl, people, "people")
    assert AccessLog.objects.count() == 4


def test_whoever_only_looks_at_what_goes_on_is_written_down(world, carl):
    carl({Permission.LIVE}).get(PAGE)
    assert [each.what for each in AccessLog.objects.all()] == ["live"]


# Headers


def test_an_answer_is_compressed_and_kept_by_nobody(world, carl):
    for address in (PAGE, "/no/such/page", "/api/session/history/"):
        answer = carl(LOOK).get(address, headers={"Accept-Encoding": "gzip"})
        assert {"private", "no-store"} <= set(answer.headers["Cache-Control"].split(", "))
        assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    assert (
        carl(LOOK).get(PAGE, headers={"Accept-Encoding": "gzip"}).headers["Content-Encoding"]
        == "gzip"
    )


def test_a_compressed_export_is_streamed_still(world, carl):
    import gzip

    measured(world.device)
    address = "/api/session/export/?user=anna"
    plain = b"".join(carl(LOOK).get(address))
    answer = carl(LOOK).get(address, headers={"Accept-Encoding": "gzip"})
    assert answer.streaming
    assert gzip.decompress(b"".join(answer)) == plain


def test_browsers_find_an_icon_of_their_own_accord(db):
    answer = Client().get("/favicon.ico")
    assert (answer.status_code, answer.url) == (302, "/static/dashboard/icon.svg")
    assert "public" in answer.headers["Cache-Control"]
