"""Who looks after an alert: acknowledged, given back, snoozed, handed over, escalated."""

from datetime import timedelta

import pytest

from server.alerts.handling import acts
from server.alerts.handling.acts import NotPossibleError, in_hand, key_of
from server.alerts.handling.follow_ups import MOST_REMINDERS
from server.alerts.models import Acknowledgement, Alert, Delivery, Kind, Notice, Receiver, Rule
from server.care.audit import entries_of
from server.care.models import CareLink, Person
from server.devices.models import Device
from tests.server.alerts.moments import NOW, judge, rule

MINUTE = timedelta(minutes=1)


@pytest.fixture
def silent(told):
    """Anna's device is silent; Carl and Bert may be told, each by webhook."""
    told.ben = Person.objects.create_user("ben")
    CareLink.objects.create(caregiver=told.ben, person=told.anna, may_get_alerts=True)
    for person in (told.carl, told.ben, told.anna):
        Receiver.objects.create(person=person, webhook_url="https://hook.example.org/")
    Device.objects.filter(pk=told.device.pk).update(last_seen_at=NOW - timedelta(hours=2))
    return told


def opened(world, receiver="carl", **more) -> Alert:
    made = rule(world, Kind.DEVICE_SILENT, receiver, minutes=30, **more)
    judge(NOW)
    return Alert.objects.get(rule=made)


def notices(receiver) -> list[str]:
    mine = Delivery.objects.filter(alert__receiver=receiver)
    return list(mine.order_by("pk").values_list("notice", flat=True))


def heard_again(world) -> None:
    Device.objects.filter(pk=world.device.pk).update(last_seen_at=NOW + timedelta(days=1))


def events(person) -> list[str]:
    return [entry.event for entry in entries_of(person) if entry.event.startswith("alert_")]


def test_one_acknowledges_and_everybody_with_an_alert_about_it_sees_and_hears_it(silent):
    carls, bens = opened(silent), opened(silent, "ben")
    acts.acknowledge(carls, NOW)
    held = in_hand([bens])[key_of(bens)]
    assert held.by == silent.carl
    assert notices(silent.ben) == [Notice.OPENED, Notice.TAKEN]
    assert notices(silent.carl) == [Notice.OPENED]
    assert events(silent.anna) == ["alert_taken"]
    acts.acknowledge(carls, NOW)  # again: nothing new
    assert notices(silent.ben) == [Notice.OPENED, Notice.TAKEN]


def test_who_acknowledges_later_takes_over(silent):
    carls, bens = opened(silent), opened(silent, "ben")
    acts.acknowledge(carls, NOW)
    acts.acknowledge(bens, NOW + MINUTE)
    assert in_hand([carls])[key_of(carls)].by == silent.ben
    assert Acknowledgement.objects.filter(ended_at=None).count() == 1
    with pytest.raises(NotPossibleError, match="not_yours"):
        acts.give_back(carls, NOW + MINUTE)


def test_nobody_is_reminded_while_somebody_looks_after_it_and_again_once_it_is_given_back(silent):
    alert = opened(silent, remind_minutes=15)
    acts.acknowledge(alert, NOW + MINUTE)
    judge(NOW + 30 * MINUTE)
    assert notices(silent.carl) == [Notice.OPENED]
    acts.give_back(alert, NOW + 30 * MINUTE)
    judge(NOW + 44 * MINUTE)
    assert notices(silent.carl) == [Notice.OPENED]
    judge(NOW + 45 * MINUTE)
    assert notices(silent.carl) == [Notice.OPENED, Notice.REMINDER]


def test_reminders_come_at_the_rules_interval_until_it_is_over(silent):
    opened(silent, remind_minutes=15)
    for minute in range(1, 46):
        judge(NOW + minute * MINUTE)
    assert notices(silent.carl) == [Notice.OPENED, *[Notice.REMINDER] * 3]
    Delivery.objects.update(attempts=1, sent_at=NOW)
    heard_again(silent)
    judge(NOW + 60 * MINUTE)
    assert notices(silent.carl)[-1] == Notice.RESOLVED
    assert notices(silent.carl).count(Notice.RESOLVED) == 1
    judge(NOW + 90 * MINUTE)
    assert notices(silent.carl)[-1] == Notice.RESOLVED


def test_after_a_server_that_was_off_there_is_one_reminder_and_not_one_for_each_interval(silent):
    opened(silent, remind_minutes=15)
    judge(NOW + timedelta(hours=5))
    judge(NOW + timedelta(hours=5, minutes=1))
    assert notices(silent.carl) == [Notice.OPENED, Notice.REMINDER]


def test_reminders_end_after_a_hundred(silent):
    alert = opened(silent, remind_minutes=15)
    Alert.objects.filter(pk=alert.pk).update(reminders=MOST_REMINDERS)
    judge(NOW + timedelta(hours=1))
    assert notices(silent.carl) == [Notice.OPENED]


def test_a_snooze_is_silent_and_reminds_once_at_its_end_even_without_the_rules_reminders(silent):
    alert = opened(silent)
    until = acts.snooze(alert, 60, NOW)
    judge(until - MINUTE)
    assert notices(silent.carl) == [Notice.OPENED]
    judge(until)
    judge(until + timedelta(hours=3))
    assert notices(silent.carl) == [Notice.OPENED, Notice.REMINDER]
    assert events(silent.anna) == ["alert_snoozed"]


def test_nobody_looks_after_it_so_the_next_person_is_told_once(silent):
    opened(silent, escalate_minutes=30, escalate_to=silent.ben)
    judge(NOW + 29 * MINUTE)
    assert notices(silent.ben) == []
    judge(NOW + 30 * MINUTE)
    judge(NOW + 90 * MINUTE)
    assert notices(silent.ben) == [Notice.ESCALATED]
    bens = Alert.objects.get(receiver=silent.ben)
    assert (bens.kind, bens.person, bens.rule) == (Kind.DEVICE_SILENT, silent.anna, None)
    assert events(silent.anna) == ["alert_escalated"]
    Delivery.objects.update(attempts=1, sent_at=NOW)
    heard_again(silent)
    judge(NOW + 91 * MINUTE)
    assert not Alert.objects.filter(resolved_at=None).exists()
    assert notices(silent.ben) == [Notice.ESCALATED, Notice.RESOLVED]


@pytest.mark.parametrize("by", ["acknowledged", "snoozed"])
def test_it_is_not_escalated_while_somebody_has_it_in_hand(silent, by):
    alert = opened(silent, escalate_minutes=30, escalate_to=silent.ben)
    if by == "acknowledged":
        acts.acknowledge(alert, NOW)
    else:
        acts.snooze(alert, 120, NOW)
    judge(NOW + 119 * MINUTE)
    assert notices(silent.ben) == []


def test_it_is_not_escalated_to_somebody_who_may_no_longer_be_told(silent):
    opened(silent, escalate_minutes=30, escalate_to=silent.ben)
    CareLink.objects.filter(caregiver=silent.ben).update(may_get_alerts=False)
    judge(NOW + 60 * MINUTE)
    assert not Alert.objects.filter(receiver=silent.ben).exists()


def test_escalated_to_somebody_with_an_alert_of_their_own_it_stays_one_alert(silent):
    opened(silent, "ben")
    opened(silent, escalate_minutes=30, escalate_to=silent.ben)
    judge(NOW + 30 * MINUTE)
    assert Alert.objects.filter(receiver=silent.ben).count() == 1
    assert notices(silent.ben) == [Notice.OPENED, Notice.ESCALATED]


def test_handed_over_it_stays_with_the_first_until_the_second_takes_it(silent):
    alert = opened(silent)
    acts.hand_over(alert, silent.ben, NOW)
    held = in_hand([alert])[key_of(alert)]
    assert (held.by, held.asked) == (silent.carl, silent.ben)
    assert notices(silent.ben) == [Notice.ASKED]
    acts.acknowledge(Alert.objects.get(receiver=silent.ben), NOW + MINUTE)
    held = in_hand([alert])[key_of(alert)]
    assert (held.by, held.asked) == (silent.ben, None)
    assert notices(silent.carl) == [Notice.OPENED, Notice.TAKEN]
    assert events(silent.anna) == ["alert_taken", "alert_handed_over", "alert_taken"]


def test_it_is_handed_over_to_nobody_who_may_not_be_told(silent):
    alert = opened(silent)
    for other in (silent.otto, silent.carl):
        with pytest.raises(NotPossibleError, match="not_allowed"):
            acts.hand_over(alert, other, NOW)
    assert not Acknowledgement.objects.exists()


def test_what_is_over_can_not_be_acknowledged_and_a_new_one_begins_with_nobody(silent):
    alert = opened(silent)
    acts.acknowledge(alert, NOW)
    heard_again(silent)
    judge(NOW + MINUTE)
    for act in (acts.acknowledge, acts.give_back):
        with pytest.raises(NotPossibleError, match="over"):
            act(alert, NOW + MINUTE)
    Device.objects.update(last_seen_at=NOW - timedelta(hours=2))
    judge(NOW + 2 * MINUTE)
    again = Alert.objects.get(resolved_at=None)
    assert in_hand([again]) == {}


def test_an_acknowledgement_lasts_until_the_last_alert_about_it_is_over(silent):
    carls, bens = opened(silent), opened(silent, "ben")
    acts.acknowledge(carls, NOW)
    Rule.objects.get(pk=carls.rule_id).delete()
    judge(NOW + MINUTE)
    assert in_hand([bens])[key_of(bens)].by == silent.carl
    heard_again(silent)
    judge(NOW + 2 * MINUTE)
    assert not Acknowledgement.objects.filter(ended_at=None).exists()


def test_nobody_acts_on_an_alert_they_may_no_longer_see(silent):
    alert = opened(silent)
    CareLink.objects.filter(caregiver=silent.carl).update(may_get_alerts=False)
    with pytest.raises(NotPossibleError, match="not_allowed"):
        acts.acknowledge(alert, NOW)
