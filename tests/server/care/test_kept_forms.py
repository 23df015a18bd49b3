"""A log-in that expires while a form is filled in loses no text, and shows it to nobody else."""

import pytest
from django.contrib.sessions.models import Session
from django.test import Client

from server.care.models import Invitation
from tests.server.conftest import PASSWORD

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
