"""A forgotten password: a link to a confirmed address, and nothing for anybody else."""

import re
import threading
from datetime import timedelta

import pytest
from django.core import mail
from django.test import Client
from django.utils import timezone

from server.alerts import recovery
from server.alerts.models import Receiver
from server.care.models import AuditEntry, Person, PersonToken
from tests.server.conftest import PASSWORD

NEW = "another quiet pass phrase"
SAID = "If an account with a confirmed e-mail address has this name"


@pytest.fixture
def confirmed(world, settings, monkeypatch):
    """Carl has confirmed an address; the server sends mail, in the request's own thread."""
    settings.EMAIL_URL = "smtp://localhost"
    monkeypatch.setattr(threading.Thread, "start", lambda thread: thread.run())
    address = {"email": "carl@example.org", "confirmed_email": "carl@example.org"}
    Receiver.objects.create(person=world.carl, by_email=True, **address)
    return world


def asked(name: str) -> str:
    answer = Client().post("/login/forgotten/", {"name": name}, follow=True)
    return answer.content.decode()


def link() -> str:
    (message,) = mail.outbox
    assert message.to == ["carl@example.org"]
    return re.search(r"http://testserver(/\S+)", message.body)[1]


@pytest.mark.parametrize("name", ["carl", "CARL", "Carl@example.org"])
def test_carl_gets_a_link_that_changes_his_password_once(confirmed, name):
    browser, elsewhere = Client(), Client()
    elsewhere.force_login(confirmed.carl)
    assert SAID in asked(name)
    address = link()
    assert browser.get(address).status_code == 200
    assert browser.post(address, {"password": NEW, "again": "different"}).status_code == 400
    assert browser.post(address, {"password": "short", "again": "short"}).status_code == 400
    assert browser.post(address, {"password": NEW, "again": NEW}).status_code == 302
    assert Person.objects.get(pk=confirmed.carl.pk).check_password(NEW)
    assert elsewhere.get("/").status_code == 302
    assert not PersonToken.live(confirmed.carl).exists()
    entry = AuditEntry.objects.get(event="password_changed")
    assert (entry.actor, entry.detail) == (confirmed.carl, "by e-mail")
    again = browser.post(address, {"password": PASSWORD, "again": PASSWORD}, follow=True)
    assert "invalid or has expired" in again.content.decode()
    assert Person.objects.get(pk=confirmed.carl.pk).check_password(NEW)


@pytest.mark.parametrize("name", ["anna", "nobody", "other@example.org", "carl\x00", "x" * 254])
def test_whoever_has_no_confirmed_address_gets_nothing_and_is_told_the_same(confirmed, name):
    Receiver.objects.create(person=confirmed.anna, by_email=True, email="other@example.org")
    page = asked(name)
    assert (SAID in page) == ("\x00" not in name)
    assert mail.outbox == []


@pytest.mark.parametrize("change", [{"is_active": False}, {"password": "!"}], ids=str)
def test_an_account_that_is_closed_or_not_opened_gets_no_link(confirmed, change):
    Person.objects.filter(pk=confirmed.carl.pk).update(**change)
    assert SAID in asked("carl")
    assert mail.outbox == []


def test_a_link_is_of_one_person_and_for_an_hour(confirmed, monkeypatch):
    asked("carl")
    address = link()
    theirs = address.replace(f"/{confirmed.carl.pk}/", f"/{confirmed.anna.pk}/")
    assert Client().get(theirs).status_code == 302
    later = (timezone.now() + timedelta(minutes=61)).replace(tzinfo=None)
    monkeypatch.setattr(recovery.default_token_generator, "_now", lambda: later)
    assert Client().get(address).status_code == 302


def test_links_are_few(confirmed):
    for _ in range(recovery.MOST_LINKS):
        asked("carl")
    answer = Client().post("/login/forgotten/", {"name": "Carl"})
    assert (answer.status_code, len(mail.outbox)) == (429, recovery.MOST_LINKS)


def test_without_mail_the_page_says_whom_to_ask(world):
    page = Client().get("/login/forgotten/").content.decode()
    assert "set-password" in page
    assert "Send link" not in page
    assert Client().post("/login/forgotten/", {"name": "carl"}).status_code == 200
    assert "/login/forgotten/" in Client().get("/login/").content.decode()
