"""The pages of alerts: one's own rules and alerts, and nobody else's."""

import json
import re
from datetime import timedelta

import pytest
from django.core import mail
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from server.alerts.judge import judge
from server.alerts.models import Alert, Delivery, Kind, Receiver, Rule
from server.alerts.receiving import MOST_LINKS
from server.care.models import AccessLog, AuditEntry, CareLink, Person
from server.devices.models import Device
from tests import receivers
from tests.server.alerts.test_usual import measured
from tests.server.conftest import PASSWORD
from tests.server.dashboard.browsing import words_of


@pytest.fixture
def told(world):
    CareLink.objects.filter(caregiver=world.carl, ended_at=None).update(may_get_alerts=True)
    Device.objects.filter(pk=world.device.pk).update(
        last_seen_at=timezone.now() - timedelta(hours=1)
    )
    return world


def logged_in(person) -> Client:
    client = Client()
    client.force_login(person)
    return client


TEST = "/alerts/ways/test/"
SILENT = "/alerts/rules/new/anna/device_silent/"


def test_carl_adds_a_rule_sees_what_it_found_changes_it_and_removes_it(told):
    carl = logged_in(told.carl)
    chosen = carl.get("/alerts/rules/new/", {"person": "anna", "kind": "device_silent"})
    assert chosen["Location"] == SILENT
    assert carl.post(SILENT, {"minutes": 30})["Location"] == "/alerts/"
    judge()
    page = carl.get("/alerts/").content.decode()
    assert "Kitchen has not been connected since" in page
    assert re.search(r'class="count">1<', page)
    rule = Rule.objects.get()
    assert (rule.receiver, rule.person, rule.minutes) == (told.carl, told.anna, 30)
    assert carl.post(f"/alerts/rules/{rule.pk}/", {"minutes": 120}).status_code == 302
    assert Alert.objects.get().why == "changed"
    judge()
    assert Alert.objects.count() == 1  # an hour is less than two
    assert carl.post(f"/alerts/rules/{rule.pk}/remove/").status_code == 302
    assert not Rule.objects.exists()
    assert (
        "Kitchen was not connected" in carl.get("/alerts/").content.decode()
    )  # among the past ones
    assert AccessLog.objects.get(what="alerts").person == told.anna


INSIDERS = re.compile(r"\b(topics?|themas?|themen|brokers?|mqtt|payload|qos)\b", re.IGNORECASE)


@pytest.mark.parametrize("language", ["en", "de"])
@pytest.mark.parametrize("kind", ["device_silent", "no_session", "long_closures", "perclos"])
def test_a_rule_is_asked_for_without_the_words_of_message_brokers(told, kind, language):
    Person.objects.filter(pk=told.carl.pk).update(language=language)
    carl = logged_in(told.carl)
    wrong = carl.post(f"/alerts/rules/new/anna/{kind}/", {"ntfy_url": "https://ntfy.sh/"})
    shown = words_of(wrong)
    assert {"en": "https://ntfy.sh/my-name", "de": "https://ntfy.sh/mein-name"}[language] in shown
    assert INSIDERS.findall(shown) == []
    assert INSIDERS.findall(words_of(carl.get("/alerts/ways/"))) == []


def test_an_alert_about_a_silent_device_links_the_help_that_names_it(told):
    carl = logged_in(told.carl)
    Device.objects.filter(pk=told.device.pk).update(online=False)
    carl.post(SILENT, {"minutes": 30})
    judge()
    address = re.search(r'href="(/help/[^"#]*)#not-connected"', carl.get("/alerts/").text)[1]
    assert "Kitchen, the device of anna, is not connected." in words_of(carl.get(address))


@pytest.mark.parametrize(
    ("kind", "given", "wrong"),
    [
        ("device_silent", {"minutes": 4}, True),
        ("device_silent", {"minutes": ""}, True),
        ("no_session", {"by": "10:30", "weekdays": ["5", "1"]}, False),
        ("no_session", {"by": "10:30"}, True),
        ("no_session", {"by": "25:00", "weekdays": ["1"]}, True),
        ("long_closures", {"closures": "", "closure_s": ""}, True),
        ("long_closures", {"closures": "", "closure_s": "1.5"}, False),
        ("blink_rate", {"spread": "0.5"}, True),
        ("perclos", {"spread": "2.0"}, False),
        ("perclos", {"spread": "nan"}, True),
    ],
)
def test_a_rule_has_what_its_kind_needs(told, kind, given, wrong):
    answer = logged_in(told.carl).post(f"/alerts/rules/new/anna/{kind}/", given)
    assert answer.status_code == (400 if wrong else 302)
    assert Rule.objects.count() == (0 if wrong else 1)
    assert not Rule.objects.filter(kind=Kind.NO_SESSION).exclude(weekdays="15").exists()


@pytest.mark.parametrize("name", ["otto", "ella"])
def test_about_somebody_who_does_not_let_them_there_is_nothing_to_make_or_see(told, name):
    rule = Rule.objects.create(
        receiver=told.carl, person=told.anna, kind=Kind.DEVICE_SILENT, minutes=30
    )
    judge()
    other = logged_in(getattr(told, name))
    assert other.get(SILENT).status_code == 404
    assert other.post(SILENT, {"minutes": 30}).status_code == 404
    for way in ("", "remove/"):
        assert other.post(f"/alerts/rules/{rule.pk}/{way}", {"minutes": 5}).status_code == 404
    assert "Kitchen" not in other.get("/alerts/").content.decode()
    assert Client().get("/alerts/").status_code == 302


def test_with_the_permission_gone_carls_rule_and_alert_are_gone_for_him(told):
    rule = Rule.objects.create(
        receiver=told.carl, person=told.anna, kind=Kind.DEVICE_SILENT, minutes=30
    )
    judge()
    CareLink.objects.filter(caregiver=told.carl, ended_at=None).update(may_get_alerts=False)
    carl = logged_in(told.carl)
    page = carl.get("/alerts/").content.decode()
    assert "Kitchen" not in page
    assert "anna" not in page
    assert carl.get(f"/alerts/rules/{rule.pk}/").status_code == 404
    assert carl.get(SILENT).status_code == 404


def test_nobody_makes_more_rules_than_there_may_be(told, monkeypatch):
    monkeypatch.setattr(Rule, "MOST", 1)
    carl = logged_in(told.carl)
    assert carl.post(SILENT, {"minutes": 30}).status_code == 302
    answer = carl.post(SILENT, {"minutes": 60})
    assert (answer.status_code, Rule.objects.count()) == (400, 1)


def test_the_same_rule_is_not_kept_twice(told):
    carl = logged_in(told.carl)
    assert carl.post(SILENT, {"minutes": 30}).status_code == 302
    assert carl.post(SILENT, {"minutes": 30}).status_code == 400
    assert carl.post(SILENT, {"minutes": 31}).status_code == 302
    rule = Rule.objects.get(minutes=31)
    assert carl.post(f"/alerts/rules/{rule.pk}/", {"minutes": 31}).status_code == 302


def test_a_range_rule_says_what_it_still_waits_for(told):
    Rule.objects.create(receiver=told.carl, person=told.anna, kind=Kind.PERCLOS, spread=2)
    carl = logged_in(told.carl)
    assert "Not enough data yet: 0 of 7 days." in carl.get("/alerts/").content.decode()
    for ago in range(1, 8):
        measured(told, timezone.now() - timedelta(days=ago), 15)
        waiting = "Not enough data yet" in carl.get("/alerts/").content.decode()
        assert waiting == (ago < 7)


# How one is told


def test_an_address_is_used_once_its_owner_has_opened_the_link_that_went_there(told, settings):
    settings.EMAIL_URL = "smtp://localhost"
    carl = logged_in(told.carl)
    given = {"by_email": "on", "email": "carl@example.org"}
    assert carl.post("/alerts/ways/", given).status_code == 302
    receiver = Receiver.objects.get()
    assert receiver.ways() == []
    (message,) = mail.outbox
    assert message.to == ["carl@example.org"]
    link = re.search(r"http://testserver(/\S+)", message.body)[1]
    logged_in(told.otto).get(link)
    receiver.refresh_from_db()
    assert receiver.ways() == []
    assert carl.get(link + "x").status_code == 302
    receiver.refresh_from_db()
    assert receiver.ways() == []
    assert "carl@example.org" in carl.get(link).content.decode()
    assert carl.post(link, {"password": "wrong"}).status_code == 400
    receiver.refresh_from_db()
    assert receiver.ways() == [], "an unattended browser is not enough"
    assert not AuditEntry.objects.filter(event="address_confirmed").exists()
    assert carl.post(link, {"password": PASSWORD}).status_code == 302
    receiver.refresh_from_db()
    assert receiver.ways() == ["email"]
    entry = AuditEntry.objects.get(event="address_confirmed")
    assert (entry.actor, entry.detail) == (told.carl, "carl@example.org")
    carl.post("/alerts/ways/", given | {"email": "other@example.org"})
    receiver.refresh_from_db()
    assert receiver.ways() == []


def test_nobody_sends_strangers_more_than_a_few_links(told, settings):
    settings.EMAIL_URL = "smtp://localhost"
    carl = logged_in(told.carl)
    for n in range(MOST_LINKS + 2):
        given = {"by_email": "on", "email": f"stranger{n}@example.org"}
        page = carl.post("/alerts/ways/", given, follow=True).content.decode()
        assert ("too many links" in page) == (n >= MOST_LINKS)
    assert len(mail.outbox) == MOST_LINKS
    assert Receiver.objects.get().email == given["email"]  # what was asked for is kept


def test_nobody_is_sent_more_than_a_few_links_whoever_asks(told, settings):
    settings.EMAIL_URL = "smtp://localhost"
    for name in ("anna", "carl", "otto"):
        for _ in range(MOST_LINKS - 1):
            given = {"by_email": "on", "email": "Stranger@example.org"}
            logged_in(getattr(told, name)).post("/alerts/ways/", given)
    assert len(mail.outbox) == MOST_LINKS


@pytest.mark.parametrize(
    ("given", "wrong"),
    [
        ({"webhook_url": "https://hooks.example.org/x"}, False),
        ({"webhook_url": "http://127.0.0.1/"}, True),
        ({"webhook_url": "file:///etc/passwd"}, True),
        ({"quiet_from": "22:00"}, True),
        ({"quiet_from": "22:00", "quiet_until": "07:00"}, False),
        ({"email": "carl"}, True),
    ],
)
def test_ways_that_cant_be_are_refused(told, given, wrong):
    assert logged_in(told.carl).post("/alerts/ways/", given).status_code == (400 if wrong else 302)
    assert (not Receiver.objects.exists()) == wrong


def test_an_address_that_is_typed_is_used_and_an_empty_one_ends_it(told, settings):
    settings.EMAIL_URL = "smtp://localhost"
    carl = logged_in(told.carl)
    carl.post("/alerts/ways/", {"email": "carl@example.org"})
    assert Receiver.objects.get().by_email
    carl.post("/alerts/ways/", {"email": ""})
    assert not Receiver.objects.get().by_email
    Receiver.objects.update(email="old@example.org")  # kept from before, but turned off
    assert "old@example.org" not in carl.get("/alerts/ways/").content.decode()


def test_a_rule_and_how_one_is_told_are_one_form(told, settings):
    settings.EMAIL_URL = "smtp://localhost"
    carl = logged_in(told.carl)
    assert 'name="email"' in carl.get(SILENT).content.decode()
    both = {"minutes": 30, "email": "carl@example.org", "webhook_url": "", "quiet_from": ""}
    wrong = carl.post(SILENT, both | {"webhook_url": "ftp://x"})
    assert (wrong.status_code, Rule.objects.count(), Receiver.objects.count()) == (400, 0, 0)
    assert "Open it to receive alerts" in carl.post(SILENT, both, follow=True).content.decode()
    assert Receiver.objects.get().email == "carl@example.org"
    assert len(mail.outbox) == 1
    carl.post(SILENT, both | {"minutes": 40})  # nothing new about the address
    assert len(mail.outbox) == 1


def test_a_test_message_goes_to_every_channel_at_most_a_few_times(told, settings):
    settings.EMAIL_URL = "smtp://localhost"
    settings.WEBHOOK_PRIVATE = True
    carl = logged_in(told.carl)
    assert "no channel to test" in carl.post(TEST, follow=True).content.decode()
    with receivers.webhook() as hook:
        confirmed = {"email": "carl@example.org", "confirmed_email": "carl@example.org"}
        Receiver.objects.create(person=told.carl, by_email=True, webhook_url=hook.url, **confirmed)
        page = carl.post(TEST, follow=True).content.decode()
        assert page.count("a test message was sent") == 2
        ((headers, body),) = hook.taken
    assert json.loads(body) == {"delivery": 0, "event": "test", "alert": None}
    assert headers["Blinklog-Signature"].startswith("t=")
    assert [message.to for message in mail.outbox] == [["carl@example.org"]]
    page = carl.post(TEST, follow=True).content.decode()
    assert "Webhook: the test message failed" in page
    for _ in range(MOST_LINKS):
        page = carl.post(TEST, follow=True).content.decode()
    assert "Too many test messages" in page
    assert carl.get(TEST).status_code == 405


def test_a_persons_page_shows_ones_open_alerts_about_them(told):
    Rule.objects.create(receiver=told.carl, person=told.anna, kind="device_silent", minutes=30)
    judge()
    assert "1 open alert" in logged_in(told.carl).get("/people/anna/").content.decode()
    assert "open alert" not in logged_in(told.anna).get("/people/anna/").content.decode()


def test_the_webhooks_secret_is_shown_to_its_owner_alone(told):
    made = Receiver.objects.create(person=told.carl, webhook_url="https://hooks.example.org/x")
    assert made.webhook_secret in logged_in(told.carl).get("/alerts/ways/").content.decode()
    assert made.webhook_secret not in logged_in(told.anna).get("/alerts/ways/").content.decode()


def test_the_page_says_when_notices_dont_get_through(told):
    Rule.objects.create(receiver=told.carl, person=told.anna, kind="device_silent", minutes=30)
    Receiver.objects.create(person=told.carl, webhook_url="https://hooks.example.org/x")
    judge()
    carl = logged_in(told.carl)
    assert "could not be sent" not in carl.get("/alerts/").content.decode()
    Delivery.objects.update(attempts=1)
    assert "could not be sent" in carl.get("/alerts/").content.decode()


def test_in_german(told):
    Rule.objects.create(receiver=told.carl, person=told.anna, kind="device_silent", minutes=30)
    judge()
    page = logged_in(told.carl).get("/alerts/", headers={"Accept-Language": "de"}).content.decode()
    assert "Kitchen ist seit " in page
    assert "Offene Meldungen" in page


def test_the_number_of_questions_does_not_grow_with_the_alerts(told):
    carl = logged_in(told.carl)

    def asked() -> int:
        with CaptureQueriesContext(connection) as queries:
            assert carl.get("/alerts/").status_code == 200
        return len(queries)

    Rule.objects.create(receiver=told.carl, person=told.anna, kind="device_silent", minutes=30)
    judge()
    asked()
    few = asked()
    for minutes in range(31, 51):
        Rule.objects.create(
            receiver=told.carl, person=told.anna, kind="device_silent", minutes=minutes
        )
    judge()
    assert Alert.objects.count() == 21
    assert asked() == few
