"""A notice reaches its receiver by mail and webhook, over real sockets, once, and none is lost."""

import threading
from datetime import UTC, datetime, time, timedelta

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.db import connection
from django.utils import timezone

from server.alerts.delivery import outbox, webhook
from server.alerts.delivery.outbox import reschedule
from server.alerts.delivery.quiet import quiet_until
from server.alerts.delivery.sending import deliver_all
from server.alerts.judge import judge
from server.alerts.models import Alert, Delivery, Pass, Rule, Way
from server.care.models import AccessLog, CareLink
from server.config.mail_settings import mail_settings
from server.devices.models import Device
from server.operations import cli
from tests.server.alerts.notices import by_mail, heard_again, prepare, tell, words
from tests.server.conftest import make_world

# By mail


def test_carl_gets_a_mail_when_it_opens_and_one_when_it_is_over(silent, box):
    by_mail(silent)
    judge()
    assert deliver_all() == (1, 0)
    assert deliver_all() == (0, 0)
    (mail,) = box.taken
    assert (mail["To"], mail["Subject"]) == ("carl@example.org", "Blinklog: alert for anna")
    assert "The server received nothing from Kitchen after" in words(mail)
    assert "https://blinklog.example.org/alerts/" in words(mail)
    assert "1. Power: is the device plugged in?" in words(mail)
    assert "https://blinklog.example.org/help/#not-connected" in words(mail)
    heard_again(silent)
    judge()
    assert deliver_all() == (1, 0)
    assert box.taken[1]["Subject"] == "Blinklog: alert resolved for anna"
    assert "The device is connected again." in words(box.taken[1])
    assert "Power" not in words(box.taken[1])


def test_in_the_receivers_language(silent, box):
    silent.carl.language = "de"
    silent.carl.save()
    by_mail(silent)
    judge()
    deliver_all()
    assert "hat der Server nichts von Kitchen empfangen" in words(box.taken[0])


def test_an_address_that_nobody_confirmed_gets_nothing(silent, box):
    by_mail(silent, confirmed_email="")
    judge()
    assert deliver_all() == (0, 0)
    assert Alert.objects.count() == 1


def test_while_the_mail_server_is_away_the_notice_waits_and_is_tried_again(silent, box, settings):
    by_mail(silent)
    judge()
    port, settings.EMAIL_PORT = settings.EMAIL_PORT, 1
    assert deliver_all() == (0, 1)
    assert deliver_all() == (0, 0)  # not yet due again
    settings.EMAIL_PORT = port
    Delivery.objects.update(due_at=timezone.now())
    assert deliver_all() == (1, 0)
    assert len(box.taken) == 1


def test_an_address_that_does_not_exist_is_not_tried_again(silent, box):
    box.refuses = "550 no such user"
    by_mail(silent)
    judge()
    assert deliver_all() == (0, 1)
    assert "refused the address" in Delivery.objects.get(sent_at=None).problem
    assert Delivery.objects.get().dropped_at is not None


@pytest.mark.parametrize(
    "address",
    ["mail.example.org", "imap://mail.example.org", "smtp://:99999", "smtp://u:p@far.org"],
)
def test_a_mail_server_that_cant_be_meant_is_refused_by_the_settings(address):
    with pytest.raises(ImproperlyConfigured, match="BLINKLOG_EMAIL_URL: expected") as refused:
        mail_settings(address, "")
    assert ":p@" not in str(refused.value)


# Deleted while a pass sends


@pytest.fixture
def two_notices(silent):
    """A notice on each of two silent devices."""
    tell(silent, webhook_url="https://example.org/")
    an_hour_ago = timezone.now() - timedelta(hours=1)
    Device.objects.create(person=silent.anna, label="Desk", last_seen_at=an_hour_ago)
    judge()
    assert Delivery.objects.count() == 2
    return silent


def test_an_alert_that_is_deleted_while_notices_go_out_does_not_end_the_pass(two_notices):
    def send(delivery, _receiver):
        Alert.objects.exclude(pk=delivery.alert_id).delete()

    assert outbox.deliver({Way.WEBHOOK: send}) == (1, 0)


def test_a_person_who_is_deleted_while_a_notice_goes_out_does_not_end_the_pass(two_notices):
    def send(_delivery, _receiver):
        two_notices.anna.delete()

    assert outbox.deliver({Way.WEBHOOK: send}) == (1, 0)
    connection.check_constraints()


# The outbox


def test_who_dies_while_sending_leaves_it_to_be_sent_again(silent, box, monkeypatch):
    by_mail(silent)
    judge()

    class PowerCut(BaseException):
        pass

    def die(*_):
        raise PowerCut

    with pytest.raises(PowerCut):
        outbox.deliver({"email": die})
    assert deliver_all() == (0, 0)  # it may still be at it
    Delivery.objects.update(claimed_until=timezone.now() - timedelta(seconds=1))
    assert deliver_all() == (1, 0)
    assert len(box.taken) == 1


def test_what_waits_is_sent_even_where_the_rules_cant_be_looked_at(silent, box, monkeypatch):
    by_mail(silent)
    judge()

    def fail(*_):
        raise ValueError("a fault")

    monkeypatch.setattr("server.alerts.judge.live_rules", fail)
    with pytest.raises(ValueError, match="a fault"):
        cli.main(["judge"])
    assert len(box.taken) == 1


def test_a_fault_in_sending_one_notice_is_counted_and_stops_no_other(silent, box, hook, caplog):
    by_mail(silent, webhook_url=hook.url)
    judge()

    def fail(*_):
        raise RuntimeError("carl@example.org")

    assert outbox.deliver({"email": fail, "webhook": webhook.post}) == (1, 1)
    assert len(hook.taken) == 1
    failed = Delivery.objects.get(way="email")
    assert (failed.attempts, failed.problem) == (1, "server error: RuntimeError")
    assert failed.due_at > timezone.now()
    assert "carl" not in caplog.text


def test_nothing_is_sent_of_what_was_over_before_it_could_be_told(silent, box):
    by_mail(silent)
    judge()
    heard_again(silent)
    judge()
    assert deliver_all() == (0, 0)
    assert box.taken == []


def test_with_the_permission_gone_nothing_more_is_sent_not_even_that_it_is_over(silent, box):
    by_mail(silent)
    judge()
    CareLink.objects.get(caregiver=silent.carl, ended_at=None).end()
    assert deliver_all() == (0, 0)
    judge()
    assert deliver_all() == (1, 0)
    assert [mail["Subject"] for mail in box.taken] == [ENDED]
    assert set(Alert.objects.values_list("why", flat=True)) == {"withdrawn"}


ENDED = "Blinklog: your rules about anna have ended"


@pytest.mark.parametrize("how", ["the link", "the permission", "neither"])
def test_the_end_of_sharing_is_told_once_and_ends_the_rules(silent, box, how):
    by_mail(silent)
    link = CareLink.objects.get(caregiver=silent.carl, ended_at=None)
    if how == "the link":
        link.end()
    elif how == "the permission":
        CareLink.objects.filter(pk=link.pk).update(may_get_alerts=False)
    for _ in range(2):
        judge()
        deliver_all()
    (mail,) = box.taken
    ended = how != "neither"
    assert (mail["Subject"] == ENDED, Rule.objects.count() == 0) == (ended, ended)
    if ended:
        assert "no longer shares alerts with you" in words(mail)
        assert "Device not connected" in words(mail)
        assert "Kitchen" not in words(mail)
        assert not AccessLog.objects.exists()  # nobody has seen anything of Anna


def test_who_is_not_active_loses_no_rules_and_is_told_nothing(silent, box):
    by_mail(silent)
    silent.carl.is_active = False
    silent.carl.save()
    judge()
    deliver_all()
    assert (box.taken, Rule.objects.count()) == ([], 1)


def test_in_quiet_hours_a_notice_waits_and_is_told_afterwards_if_it_is_still_open(silent, box):
    local = timezone.now().astimezone(UTC)
    silent.carl.timezone = "UTC"
    silent.carl.save()
    until = (local + timedelta(hours=2)).time().replace(second=0, microsecond=0)
    quiet = {"quiet_from": (local - timedelta(hours=1)).time(), "quiet_until": until}
    receiver = by_mail(silent, **quiet)
    judge()
    assert deliver_all() == (0, 0)
    due = Delivery.objects.get().due_at
    assert (due.hour, due.minute) == (until.hour, until.minute)
    receiver.quiet_from = receiver.quiet_until = None
    receiver.save()
    reschedule(receiver)
    assert deliver_all() == (1, 0)


@pytest.mark.parametrize(
    ("begin", "end", "told", "when"),
    [
        (time(22), time(7), "2026-11-22T23:30", "2026-11-23T07:00"),
        (time(22), time(7), "2026-11-22T06:59", "2026-11-22T07:00"),
        (time(22), time(7), "2026-11-22T07:00", "2026-11-22T07:00"),
        (time(13), time(15), "2026-11-22T14:00", "2026-11-22T15:00"),
        (time(13), time(15), "2026-11-22T12:59", "2026-11-22T12:59"),
        (None, None, "2026-11-22T03:00", "2026-11-22T03:00"),
    ],
)
def test_quiet_hours_go_over_midnight(begin, end, told, when):
    moment = datetime.fromisoformat(told).replace(tzinfo=UTC)
    assert quiet_until(moment, UTC, begin, end) == datetime.fromisoformat(when).replace(tzinfo=UTC)


@pytest.mark.django_db(transaction=True)
def test_two_passes_at_once_open_one_alert_and_send_one_mail(box):
    world = prepare(make_world())
    by_mail(world)
    now = timezone.now()
    Pass.objects.create(pk=1, at=now - timedelta(minutes=1), since=now - timedelta(days=1))
    together = threading.Barrier(4)

    def whole_pass() -> None:
        try:
            together.wait(10)
            judge()
            deliver_all()
        finally:
            connection.close()

    threads = [threading.Thread(target=whole_pass) for _ in range(4)]
    for each in threads:
        each.start()
    for each in threads:
        each.join(30)
    assert (Alert.objects.count(), Delivery.objects.count(), len(box.taken)) == (1, 1, 1)
