"""A log-in that expires while a form is filled in loses no text, and shows it to nobody else."""

import pytest
from django.contrib.sessions.models import Session
from django.test import Client

from server.care.models import Invitation, Person
from server.care.pages.typed import in_words
from tests.server.conftest import PASSWORD
from tests.server.dashboard.browsing import words_of

SHARE = "Share with everybody who can see your history"

FORM = "/sharing/"
TYPED = {"name": "My <daughter>", "may": ["history", "live"], "days": "7"}


def logged_in(name: str, client: Client | None = None) -> Client:
    client = client or Client()
    client.post("/login/", {"username": name, "password": PASSWORD})
    return client


@pytest.fixture
def expired(world) -> Client:
    """Anna has logged in and filled in a form, while her log-in expired."""
    client = logged_in("anna")
    Session.objects.all().delete()
    return client


def test_the_text_is_offered_after_the_log_in_and_can_be_sent(expired):
    answer = expired.post(FORM, TYPED | {"password": "secret words"})
    assert answer.headers["Location"] == "/login/?next=/sharing/"
    assert not Invitation.objects.exists()
    logged_in("anna", expired)
    page = expired.get(FORM).content.decode()
    assert "Your entries were saved" in page
    assert "My &lt;daughter&gt;" in page
    assert page.count('name="may"') == 2
    assert "secret words" not in page
    assert "Your entries were saved" not in expired.get(FORM).content.decode()  # once


def test_what_was_typed_has_the_labels_and_words_of_its_form(expired):
    note = {"kind": "medicine", "at": "2026-12-01T06:28", "text": "One <drop>"}
    for language, heading, rows in (
        ("en", "Notes", ["Kind", "Medicine", "When", "Tue 1 Dec, 06:28", "Text", SHARE, "Yes"]),
        ("de", "Notizen", ["Art", "Medikament", "Wann", "Di, 1. Dez, 06:28", "Text", "Ja"]),
    ):
        Person.objects.filter(username="anna").update(language=language)
        Session.objects.all().delete()
        expired.post("/people/anna/notes/", note | {"shared": "on"})
        logged_in("anna", expired)
        shown = words_of(expired.get("/people/anna/notes/"))
        for words in (heading, *rows):
            assert words in shown, words
        assert "medicine" not in shown
        assert "T06:28" not in shown


def test_a_box_that_was_not_ticked_is_a_no(expired):
    address = "/people/anna/notes/"
    expired.post(address, {"kind": "text", "at": "2026-12-01T06:28", "text": "x"})
    logged_in("anna", expired)
    shown = words_of(expired.get(address))
    assert f"{SHARE} No" in shown
    assert "it was not submitted" in shown


def test_values_without_a_field_any_more_are_kept_as_they_are():
    page = '<h1>A</h1><label for="a">B <b>C</b></label><input name="a" id="a">'
    page += '<input type="hidden" name="h">'
    assert in_words(page, [("a", "1"), ("h", "2"), ("old", "3")]) == (
        "A",
        [("B C", "1"), ("", "3")],
    )
    assert in_words("", [("a", "1")]) == ("", [("", "1")])


def test_somebody_else_in_the_same_browser_does_not_see_it(expired):
    expired.post(FORM, TYPED)
    logged_in("otto", expired)
    assert "daughter" not in expired.get(FORM).content.decode()


def test_after_a_log_out_nothing_is_kept(world):
    client = logged_in("anna")
    client.post("/logout/")
    client.post(FORM, TYPED)
    logged_in("anna", client)
    assert "daughter" not in client.get(FORM).content.decode()


@pytest.mark.parametrize("form", [{"name": "x" * 30_000}, {f"f{n}": "x" for n in range(60)}])
def test_a_form_that_is_too_large_is_not_kept(expired, form):
    assert expired.post(FORM, form).status_code == 302
    assert not Session.objects.exists()


def test_a_stranger_has_nothing_kept(world):
    assert Client().post(FORM, TYPED).status_code == 302
    assert not Session.objects.exists()


def test_a_button_leads_back_to_its_page(expired):
    here = {"Referer": "http://testserver/sharing/?page=2"}
    answer = expired.post("/sharing/invitations/1/withdraw/", headers=here)
    assert answer.headers["Location"] == "/login/?next=/sharing/%3Fpage%3D2"
    elsewhere = expired.post(
        "/sharing/invitations/1/withdraw/", headers={"Referer": "https://example.org/"}
    )
    assert elsewhere.headers["Location"] == "/login/?next=/"
