"""Notes on the pages: written without scripts, marks in the charts, the sheet for the doctor."""

import re
from datetime import UTC, datetime, timedelta

import pytest
from django.test import Client
from django.utils import timezone

from server.notes import write
from server.notes.models import Note
from server.visit.sheet import MOST_NOTES
from tests.server.dashboard.browsing import measured, words_of


def logged_in(person) -> Client:
    client = Client()
    client.force_login(person)
    return client


@pytest.fixture
def anna(world) -> Client:
    return logged_in(world.anna)


@pytest.fixture
def carl(world) -> Client:
    return logged_in(world.carl)


def noted(world, **given) -> Note:
    return write.add(world.anna, world.anna, None, {"kind": "drops", "text": "left"} | given)


def test_a_note_is_written_in_the_persons_zone_and_private_by_default(world, anna):
    form = anna.get("/people/anna/notes/").content.decode()
    assert 'type="datetime-local"' in form
    assert not re.search(r'name="shared"[^>]*checked', form)
    given = {"kind": "medicine", "at": "2026-07-01T08:00", "text": "Timolol"}
    page = anna.post("/people/anna/notes/", given, follow=True)
    assert "Medicine : Timolol" in words_of(page)
    assert "only you see this" in words_of(page)
    note = Note.objects.get()
    assert note.at == datetime(2026, 7, 1, 6, tzinfo=UTC)  # summer time in Berlin
    assert not note.shared


@pytest.mark.parametrize("at", ["2026-10-25T02:30", "2026-03-29T02:30"])
def test_an_hour_that_is_there_twice_or_never_is_taken_all_the_same(world, anna, at):
    given = {"kind": "drops", "at": at, "text": ""}
    assert anna.post("/people/anna/notes/", given).status_code == 302
    assert Note.objects.count() == 1


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"at": "2199-01-01T08:00"}, "Enter a time that has passed"),
        ({"at": "0001-01-01T00:00"}, "Enter a time that has passed"),
        ({"at": "9999-12-31T23:59"}, "Enter a time that has passed"),
        ({"text": "some\u202ewords"}, "Enter text on one line"),
        ({"kind": "text", "text": ""}, "Enter a text."),
    ],
)
def test_after_an_error_the_text_is_still_there(world, anna, given, told):
    sent = {"kind": "drops", "at": "2026-07-01T08:00", "text": "left eye", **given}
    page = anna.post("/people/anna/notes/", sent)
    assert page.status_code == 400
    assert told in words_of(page)
    assert f'value="{sent["text"]}"' in page.content.decode() or not sent["text"]
    assert not Note.objects.exists()


def test_a_caregiver_writes_on_a_session_and_the_person_deletes_it(world, anna, carl):
    session = measured(world.device)
    address = f"/sessions/{session}/notes/"
    page = carl.get(address).content.decode()
    assert "with your name" in page
    assert 'name="shared"' not in page
    sent = {"kind": "text", "at": "2026-07-01T08:00", "text": "Very tired"}
    assert "Very tired" in words_of(carl.post(address, sent, follow=True))
    shown = words_of(anna.get(f"/sessions/{session}/"))
    assert "Very tired" in shown
    assert "by carl" in shown
    note = Note.objects.get()
    assert anna.get(f"/notes/{note.pk}/").status_code == 404  # who wrote it changes it
    assert "Very tired" in words_of(anna.get(f"/notes/{note.pk}/delete/"))
    anna.post(f"/notes/{note.pk}/delete/")
    assert not Note.objects.exists()


def test_a_note_is_a_mark_in_every_chart_with_its_text_and_in_the_list_below(world, anna):
    measured(world.device)
    noted(world, text="<b>left</b>")
    page = anna.get("/people/anna/").content.decode()
    charts = re.findall(r'<div class="chart.*?</svg><p class="chart-says', page, re.S)
    assert len(charts) == 5
    for chart in charts:
        assert 'class="sign"' in chart
        assert 'class="sign-line"' in chart
        assert re.search(r"<title>[^<]*Eye drops, &lt;b&gt;left&lt;/b&gt;</title>", chart)
    href = re.search(r'href="#(note-[0-9a-f-]+)" tabindex="-1"', charts[0])[1]
    assert f'<li id="{href}">' in page


def test_private_notes_are_in_nobody_elses_charts_lists_and_pages(world, carl):
    measured(world.device)
    note = noted(world, text="private words")
    for address in ("/people/anna/", "/people/anna/notes/", "/people/anna/sheet/"):
        page = carl.get(address)
        assert page.status_code == 200
        assert b"private words" not in page.content
        assert b'class="sign"' not in page.content
    assert carl.get(f"/notes/{note.pk}/before-after/").status_code == 404


def test_the_page_for_the_doctor_has_shared_notes_only_and_few(world, anna):
    measured(world.device)
    noted(world, text="private words")
    now = timezone.now()
    for n in range(MOST_NOTES + 2):
        noted(world, text=f"shared {n}", shared=True, at=now - timedelta(minutes=n))
    page = anna.get("/people/anna/sheet/")
    shown = words_of(page)
    assert "private words" not in page.content.decode()
    assert "shared 0" in shown
    assert f"shared {MOST_NOTES}" not in shown.split("And 2 older notes")[0].split("Notes")[-1]
    assert "And 2 older notes of these days." in shown
    assert 'href="#note' not in page.content.decode()


def test_before_and_after_says_what_is_not_enough_and_that_it_proves_nothing(world, anna):
    measured(world.device)
    note = noted(world)
    page = anna.get(f"/notes/{note.pk}/before-after/?days=28")
    shown = words_of(page)
    assert "Not enough: each side needs values on at least 4 days." in shown
    assert "A difference is no proof of a cause." in shown
    assert page.content.decode().count('aria-current="true"') >= 1
    assert anna.get(f"/notes/{note.pk}/before-after/?days=x").status_code == 200


def test_before_and_after_shows_the_difference_and_whether_it_is_larger(world, anna):
    for n in range(1, 22):
        rate = 12 + n % 3 + (10 if n < 8 else 0)
        measured(world.device, timedelta(days=n), metrics={"blink_rate_per_min": rate})
    note = noted(world, at=timezone.now() - timedelta(days=8))
    shown = words_of(anna.get(f"/notes/{note.pk}/before-after/?days=7"))
    assert (
        "Blink rate blinks/min 13.0 7 days, 7 sessions 23.0 7 days, 7 sessions +10.0 Larger"
        in shown
    )
    assert "Larger than this person&#x27;s own spread" in shown
    assert "Not judged: the number depends on how long was measured." in shown


def test_a_note_is_changed_by_its_form(world, anna):
    note = noted(world)
    page = anna.get(f"/notes/{note.pk}/").content.decode()
    assert 'value="left"' in page
    sent = {"kind": "bad_sleep", "at": "2026-07-01T08:00", "text": "", "shared": "on"}
    assert anna.post(f"/notes/{note.pk}/", sent).status_code == 302
    note.refresh_from_db()
    assert (note.kind, note.text, note.shared) == ("bad_sleep", "", True)
    del sent["shared"]
    anna.post(f"/notes/{note.pk}/", sent)
    note.refresh_from_db()
    assert not note.shared
