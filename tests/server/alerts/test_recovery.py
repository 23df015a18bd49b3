"""A forgotten password: a link to a confirmed address, and nothing for anybody else."""

import re
import unicodedata
from datetime import timedelta

import pytest
from django.core import mail
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from server.alerts import recovery
from server.alerts.models import Receiver
from server.care.models import AuditEntry, Person, PersonToken
from tests.server.conftest import PASSWORD

SITE = "https://blinklog.example.org"
NEW = "another quiet pass phrase"
SAID = "If an account with a confirmed e-mail address has this name"


@pytest.fixture
def confirmed(world, settings, monkeypatch):
    """Carl has confirmed an address; the server sends mail, in the request's own thread."""
    settings.EMAIL_URL = "smtp://localhost"
    settings.PUBLIC_URL = SITE
    monkeypatch.setattr(recovery, "beside", lambda job: job())
    address = {"email": "carl@example.org", "confirmed_email": "carl@example.org"}
    Receiver.objects.create(person=world.carl, by_email=True, **address)
    return world


def asked(name: str) -> str:
    answer = Client().post("/login/forgotten/", {"name": name}, follow=True)
    return answer.content.decode()


def link() -> str:
    (message,) = mail.outbox
    assert message.to == ["carl@example.org"]
    return re.search(rf"{SITE}(/\S+)", message.body)[1]


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
    monkeypatch.setattr(recovery.LINKS, "_now", lambda: later)
    assert Client().get(address).status_code == 302


def test_links_are_few(confirmed):
    for _ in range(recovery.MOST_LINKS):
        asked("carl")
    answer = Client().post("/login/forgotten/", {"name": "Carl"})
    assert (answer.status_code, len(mail.outbox)) == (429, recovery.MOST_LINKS)


def test_however_a_name_is_written_its_account_gets_few_links(confirmed):
    """As a name or an address, in letters of any case and width."""
    wide = str.maketrans({letter: chr(ord(letter) + 0xFEE0) for letter in "carl"})
    spellings = ["carl", "CARL", "carl".translate(wide), "ca".translate(wide) + "rl"]
    spellings += ["c" + "arl".translate(wide), "carl@example.org"]
    assert {unicodedata.normalize("NFKC", each).lower() for each in spellings[:-1]} == {"carl"}
    for number, name in enumerate(spellings * 2):
        answer = Client(REMOTE_ADDR=f"192.0.2.{number}").post("/login/forgotten/", {"name": name})
        assert answer.status_code in (302, 429)
    assert len(mail.outbox) == recovery.MOST_LINKS


def test_the_link_leads_to_the_server_and_not_where_who_asks_wants(confirmed, settings):
    settings.ALLOWED_HOSTS = ["localhost", "blinklog.example.org"]
    for host in ("localhost:8443", "blinklog.example.org:8443"):
        asking = Client(headers={"Host": host, "X-Forwarded-Host": "evil.example"})
        answer = asking.post("/login/forgotten/", {"name": "carl"}, SERVER_NAME=host)
        assert answer.status_code == 302
    assert len(mail.outbox) == 2
    for message in mail.outbox:
        assert re.findall(r"https?://[^/\s]+", message.body) == [SITE]


def test_a_server_that_does_not_know_its_address_sends_no_links(confirmed, settings):
    settings.PUBLIC_URL = ""
    assert "set-password" in asked("carl")
    assert mail.outbox == []


@pytest.mark.parametrize("email", ["", "new@example.org"])
def test_an_address_that_was_given_up_replaces_no_password(confirmed, email):
    asked("carl")
    address = link()
    receiver = Receiver.objects.filter(person=confirmed.carl)
    receiver.update(email=email, by_email=bool(email))
    assert Client().get(address).status_code == 302
    mail.outbox.clear()
    assert SAID in asked("carl")
    assert mail.outbox == []
    receiver.update(email="carl@example.org")
    assert Client().get(address).status_code == 200


def test_the_answer_does_not_wait_for_the_account(confirmed, monkeypatch):
    """Nothing that depends on the account is done before the answer, so its time tells nothing."""
    jobs = []
    monkeypatch.setattr(recovery, "beside", jobs.append)
    queries = []
    for name in ("carl", "carl@example.org", "nobody"):
        with CaptureQueriesContext(connection) as asked_for:
            Client().post("/login/forgotten/", {"name": name})
        queries.append([re.sub(r"'.*?'|\d+", "", each["sql"]) for each in asked_for])
    assert queries[0] == queries[1] == queries[2]
    assert (len(jobs), mail.outbox) == (3, [])
    for job in jobs:
        job()
    assert len(mail.outbox) == 2


def test_without_mail_the_page_says_whom_to_ask(world):
    page = Client().get("/login/forgotten/").content.decode()
    assert "set-password" in page
    assert "Send link" not in page
    assert Client().post("/login/forgotten/", {"name": "carl"}).status_code == 200
    assert "/login/forgotten/" in Client().get("/login/").content.decode()
