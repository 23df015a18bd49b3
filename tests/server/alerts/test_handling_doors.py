"""Handling alerts on the page and by the API: one's own, and nobody else's."""

from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from server.alerts.judge import judge
from server.alerts.models import Acknowledgement, Alert, Delivery, Kind, Receiver, Rule
from server.care.models import CareLink, Person
from server.devices.models import Device

ACTIONS = ["acknowledge", "give-back", "snooze", "hand-over"]
BODIES = {"snooze": {"minutes": 60}, "hand-over": {"user": "anna"}}


@pytest.fixture
def silent(world):
    CareLink.objects.filter(caregiver=world.carl, ended_at=None).update(may_get_alerts=True)
    Rule.objects.create(receiver=world.carl, person=world.anna, kind=Kind.DEVICE_SILENT, minutes=30)
    Device.objects.filter(pk=world.device.pk).update(
        last_seen_at=timezone.now() - timedelta(hours=1)
    )
    judge()
    world.alert = Alert.objects.get()
    return world


def logged_in(person) -> Client:
    client = Client()
    client.force_login(person)
    return client


def test_carl_acknowledges_on_the_page_and_gives_it_back(silent):
    carl, path = logged_in(silent.carl), f"/alerts/{silent.alert.pk}"
    assert "Nobody is looking after it yet." in carl.get("/alerts/").content.decode()
    page = carl.post(f"{path}/acknowledge/", follow=True).content.decode()
    assert "You are looking after it. The others see that." in page
    assert "You have been looking after it since" in page
    page = carl.post(f"{path}/give-back/", follow=True).content.decode()
    assert "Nobody is looking after it yet." in page
    page = carl.post(f"{path}/snooze/", {"minutes": 60}, follow=True).content.decode()
    assert "Snoozed until" in page
    page = carl.post(f"{path}/hand-over/", {"to": "anna"}, follow=True).content.decode()
    assert "You asked anna to look after it." in page
    anna = logged_in(silent.anna).get("/alerts/").content.decode()
    assert "carl asks you to look after it." in anna
    log = logged_in(silent.anna).get("/sharing/log/").content.decode()
    assert "Alert handed over" in log


def test_carl_does_the_same_by_the_api(silent, api):
    carl, path = api("carl"), f"/api/alerts/{silent.alert.pk}"
    told = carl("POST", f"{path}/acknowledge/").json()
    assert (told["acknowledged_by"], told["handing_over_to"]) == ("carl", None)
    assert carl.get("/api/alerts/").json()["results"][0]["acknowledged_by"] == "carl"
    assert carl("POST", f"{path}/give-back/").json()["acknowledged_by"] is None
    again = carl("POST", f"{path}/give-back/")
    assert (again.status_code, again.json()["code"]) == (409, "not_yours")
    assert carl("POST", f"{path}/snooze/", {"minutes": 60}).json()["snoozed_until"]
    told = carl("POST", f"{path}/hand-over/", {"user": "anna"}).json()
    assert (told["acknowledged_by"], told["handing_over_to"]) == ("carl", "anna")
    refused = carl("POST", f"{path}/hand-over/", {"user": "otto"})
    assert (refused.status_code, refused.json()["code"]) == (409, "not_allowed")
    Alert.objects.update(resolved_at=timezone.now())
    over = carl("POST", f"{path}/acknowledge/")
    assert (over.status_code, over.json()["code"]) == (409, "over")


@pytest.mark.parametrize("body", [{}, {"minutes": 0}, {"minutes": 1441}, {"minutes": "60"}, [1]])
def test_a_snooze_has_a_sensible_length(silent, api, body):
    assert api("carl")("POST", f"/api/alerts/{silent.alert.pk}/snooze/", body).status_code == 400
    Alert.objects.get(snoozed_until=None)


@pytest.mark.parametrize("action", ACTIONS)
@pytest.mark.parametrize("who", ["anna", "ella", "otto", "nobody", "device"])
def test_nobody_handles_the_alert_of_another(silent, api, who, action):
    answer = api(who)("POST", f"/api/alerts/{silent.alert.pk}/{action}/", BODIES.get(action))
    assert answer.status_code in ({"nobody": (401,), "device": (403,)}.get(who) or (404,))
    assert not Acknowledgement.objects.exists()


@pytest.mark.parametrize("action", ACTIONS)
@pytest.mark.parametrize("who", ["anna", "ella", "otto"])
def test_nobody_does_on_the_page_either(silent, who, action):
    client = logged_in(getattr(silent, who))
    answer = client.post(f"/alerts/{silent.alert.pk}/{action}/", {"minutes": 60, "to": "carl"})
    assert answer.status_code == 404
    assert not Acknowledgement.objects.exists()


def test_a_rule_escalates_only_to_somebody_who_may_be_told(silent):
    carl, path = logged_in(silent.carl), f"/alerts/rules/{Rule.objects.get().pk}/"
    both = {"minutes": 30, "escalate_minutes": 30, "escalate_to": "anna", "remind_minutes": 15}
    assert carl.post(path, both).status_code == 302
    rule = Rule.objects.get()
    assert (rule.escalate_minutes, rule.escalate_to, rule.remind_minutes) == (30, silent.anna, 15)
    page = carl.get("/alerts/").content.decode()
    assert "Notifies anna after 30 minutes." in page
    for wrong in ({"escalate_to": "otto"}, {"escalate_to": "carl"}, {"escalate_to": ""}):
        assert carl.post(path, both | wrong).status_code == 400
    assert carl.post(path, {"minutes": 30}).status_code == 302
    assert Rule.objects.get().escalate_to is None


def test_a_channel_that_has_failed_for_a_day_is_named_with_the_time(silent):
    alert = silent.alert
    Receiver.objects.create(person=silent.carl, ntfy_url="https://ntfy.sh/x")
    then = timezone.now() - timedelta(hours=25)
    Delivery.objects.create(alert=alert, notice="opened", way="ntfy", attempts=3, created_at=then)
    page = logged_in(silent.carl).get("/alerts/").content.decode()
    assert "Sending by Push (ntfy) has failed since" in page
    Delivery.objects.create(
        alert=alert, notice="reminder", number=1, way="ntfy", attempts=1, sent_at=timezone.now()
    )
    assert "Sending by Push" not in logged_in(silent.carl).get("/alerts/").content.decode()


def test_the_page_of_many_alerts_asks_no_more_than_that_of_one(silent, django_assert_num_queries):
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    carl = logged_in(silent.carl)
    carl.get("/alerts/")
    with CaptureQueriesContext(connection) as one:
        carl.get("/alerts/")
    for number in range(5):
        Alert.objects.create(
            receiver=silent.carl, person=silent.anna, kind=Kind.NO_SESSION, cause=str(number),
            measured={"by": "12:00", "day": "2026-11-22"}, opened_at=timezone.now(),
        )  # fmt: skip
    with CaptureQueriesContext(connection) as many:
        carl.get("/alerts/")
    assert len(many) == len(one)


def test_people_that_were_deleted_leave_no_acknowledgement_behind(silent, api):
    api("carl")("POST", f"/api/alerts/{silent.alert.pk}/acknowledge/")
    Person.objects.get(username="carl").delete()
    assert not Acknowledgement.objects.exists()
