"""Choosing an activity on the pages, and what the pages say of it."""

import re
from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from server.care.models import CareLink
from server.dashboard import today
from server.dashboard.history import Period, choices
from server.devices.models import Device
from server.session_data.commands import ask as commands
from server.session_data.models import SessionData, State
from tests.server.dashboard.browsing import measured, words_of
from tests.server.dashboard.rows import MONDAY, row

RATE = "blink_rate_per_min"


def doing(activity, ago=0, rate=15.0, perclos=0.02):
    made = row(MONDAY - timedelta(days=ago), **{RATE: rate, "perclos": perclos})
    return type(made)(**{**vars(made), "activity": activity})


def weeks(read=6, talked=8):
    """Days of reading at half the rate, before them days of talking."""
    reading = [doing("reading", ago, 7 + ago % 3) for ago in range(1, read + 1)]
    return [*reading, *(doing("talking", read + ago, 15 + ago % 3) for ago in range(1, talked + 1))]


@pytest.mark.parametrize(
    ("activity", "rate", "said"),
    [
        ("reading", 7.5, "Today is as usual. Compared with 6 days of reading."),
        (
            "reading",
            15.0,
            "Blink rate is higher than usual today. Compared with 6 days of reading.",
        ),
        ("talking", 7.5, "Blink rate is lower than usual today. Compared with 8 days of talking."),
        ("eating", 12.0, "Today is as usual. Compared with all sessions of 14 days."),
        (None, 12.0, "Today is as usual. Compared with all sessions of 14 days."),
    ],
)
def test_the_first_sentences_say_with_what_today_is_compared(activity, rate, said):
    assert today.compare([*weeks(), doing(activity, 0, rate)], MONDAY).words == said


def test_if_it_differs_between_the_metrics_each_says_its_own():
    sessions = [*weeks(), doing("reading", 0, 7.5)]
    without = [
        each if each.activity != "reading" or each.day == MONDAY
        else type(each)(**{**vars(each), "values": {**each.values, "perclos": None}})
        for each in sessions
    ]  # fmt: skip
    assert today.compare(without, MONDAY).words == (
        "Today is as usual. Blink rate: Compared with 6 days of reading. "
        "PERCLOS: Compared with all sessions of 8 days."
    )


def test_it_is_chosen_on_the_sessions_page_and_shown_in_the_history(world, browser):
    where = f"/sessions/{measured(world.device)}/"
    carl = browser("carl")
    page = words_of(carl.post(f"{where}activity/", {"activity": "reading"}, follow=True))
    assert "Saved." in page
    assert "Activity: Reading." in page
    assert "This activity was chosen on this page or by an app" in page
    listed = carl.get("/people/anna/").content.decode()
    assert '<span class="small quiet">Reading</span>' in listed
    back = words_of(carl.post(f"{where}activity/", {"take_back": "1"}, follow=True))
    assert "Activity: Reading." not in back
    assert SessionData.objects.get().activity is None


@pytest.mark.parametrize("sent", [{}, {"activity": "juggling"}, {"activity": ""}], ids=str)
def test_an_unknown_word_is_refused_and_changes_nothing(world, browser, sent):
    where = f"/sessions/{measured(world.device, activity='reading')}/activity/"
    assert browser("anna").post(where, sent).status_code == 400
    assert SessionData.objects.get().activity == "reading"


def test_who_may_not_choose_is_not_offered_it(world, browser):
    where = f"/sessions/{measured(world.device)}/"
    CareLink.objects.filter(caregiver=world.carl).update(may_control=False)
    assert "chosen-activity" not in browser("carl").get(where).content.decode()
    assert browser("carl").post(f"{where}activity/", {"activity": "reading"}).status_code == 404
    assert browser("otto").post(f"{where}activity/", {"activity": "reading"}).status_code == 404


def test_a_check_has_none(world, browser):
    where = f"/sessions/{measured(world.device)}/"
    SessionData.objects.update(state=State.CHECK)
    assert "chosen-activity" not in browser("anna").get(where).content.decode()
    page = browser("anna").post(f"{where}activity/", {"activity": "reading"}, follow=True)
    assert "A check of the counting has no activity." in words_of(page)


def test_a_start_offers_the_devices_last_activity(world, browser, monkeypatch):
    sent = []
    monkeypatch.setattr(commands, "_send", sent.append)
    Device.objects.update(online=True, last_seen_at="2999-01-01T00:00:00Z")
    start = f"/people/anna/devices/{world.device.pk}/start/"
    browser("anna").post(start, {"activity": "eating"})
    assert [each.activity for each in sent] == ["eating"]
    page = browser("anna").get("/people/anna/").content.decode()
    assert re.findall(r'<option value="(\w*)" selected', page) == ["eating"]


def test_a_person_page_can_be_of_one_activity(world, browser):
    for n, word in enumerate(("reading", "talking")):
        session_id = f"0193a1b2-0000-7000-8000-00000000000{n}"
        metrics = {RATE: 7.0 + 10 * n}
        ago = timedelta(days=1, minutes=10 * n)
        measured(world.device, ago, session_id=session_id, activity=word, metrics=metrics)
    everything = browser("anna").get("/people/anna/?days=7").content.decode()
    assert 'href="?days=7&amp;activity=reading"' in everything
    reading = browser("anna").get("/people/anna/?days=7&activity=reading")
    assert "1 session." in words_of(reading)
    page = reading.content.decode()
    assert "7.0" in page
    assert "17.0" not in page
    assert re.search(r'days=30[^"]*activity=reading', page)  # other periods keep it
    assert browser("anna").get("/people/anna/?activity=juggling").status_code == 200


def test_without_activities_there_is_nothing_to_choose_from():
    assert choices([row()], Period(7, MONDAY, MONDAY)) == []


def test_activities_need_no_more_queries_for_the_list_of_people(world, browser):
    carl = browser("carl")

    def queries():
        with CaptureQueriesContext(connection) as asked:
            assert carl.get("/").status_code == 200
        return len(asked)

    for n in range(9):
        session_id = f"0193a1b2-0000-7000-8000-00000000000{n}"
        measured(world.device, timedelta(days=n, minutes=9), session_id=session_id)
    carl.get("/")
    before = queries()
    SessionData.objects.update(activity="reading", activity_chosen=True)
    assert queries() == before
