"""When a rule tells, and when not: by the server's clock, and never by what arrives late."""

from datetime import datetime, time, timedelta
from typing import Any

import pytest
from django.db import IntegrityError, connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from server.alerts.conditions import findings
from server.alerts.judge import judge as one_pass
from server.alerts.models import Alert, Kind, Pass, Rule
from server.alerts.words import ending, sentence
from server.care.models import CareLink, Person
from server.devices.models import HEARD_WITHIN, Device
from server.devices.presence import note_status
from server.monitoring.models import Sign
from server.monitoring.signs import CONSUMER
from tests.server.alerts.moments import BERLIN, NOW, judge, open_alerts, rule, text
from tests.server.conftest import golden

# A device is offline


def test_a_device_not_heard_of_for_longer_than_the_rule_says_is_told_once_and_resolves_by_itself(
    told,
):
    rule(told, Kind.DEVICE_SILENT, minutes=30)
    Device.objects.filter(pk=told.device.pk).update(last_seen_at=NOW - timedelta(minutes=29))
    assert judge(NOW).opened == 0
    assert judge(NOW + timedelta(minutes=2)).opened == 1
    assert judge(NOW + timedelta(minutes=3)).opened == 0
    (alert,) = open_alerts()
    assert (alert.receiver, alert.device) == (told.carl, told.device)
    assert "Kitchen after Sun 22 Nov, 13:31" in sentence(alert)
    Device.objects.filter(pk=told.device.pk).update(last_seen_at=NOW + timedelta(minutes=4))
    assert judge(NOW + timedelta(minutes=5)).resolved == 1
    assert ending(Alert.objects.get()) == "The device is connected again."


def test_a_rule_counts_from_when_the_device_was_last_seen_not_from_when_it_was_saved(told):
    Device.objects.filter(pk=told.device.pk).update(
        online=False, last_seen_at=NOW - timedelta(hours=26)
    )
    judge(NOW)
    rule(told, Kind.DEVICE_SILENT, minutes=60)
    assert judge(NOW + timedelta(minutes=1)).opened == 1


def test_time_in_which_no_pass_ran_does_not_count(told):
    Device.objects.filter(pk=told.device.pk).update(
        online=False, last_seen_at=NOW - timedelta(hours=26)
    )
    Pass.objects.update(since=NOW)  # the server began to listen
    rule(told, Kind.DEVICE_SILENT, minutes=60)
    opened = [judge(NOW + timedelta(minutes=minute)).opened for minute in range(0, 64, 4)]
    assert sum(opened) == 0
    assert judge(NOW + timedelta(minutes=64)).opened == 1


def test_a_device_without_a_last_will_is_silent_once_it_has_not_said_again_that_it_is_there(told):
    """A power cut takes the broker too, and what it holds says online for ever."""
    rule(told, Kind.DEVICE_SILENT, minutes=5)
    Device.objects.filter(pk=told.device.pk).update(online=True, last_seen_at=NOW)
    assert judge(NOW + HEARD_WITHIN).opened == 0  # its word may come a little late
    assert judge(NOW + HEARD_WITHIN + timedelta(minutes=1)).opened == 1


def test_a_device_is_silent_since_it_spoke_not_since_the_broker_spoke_of_it(told):
    rule(told, Kind.DEVICE_SILENT, minutes=30)
    Device.objects.filter(pk=told.device.pk).update(
        online=False, last_seen_at=NOW - timedelta(minutes=31), status_at=NOW
    )
    assert judge(NOW).opened == 1


def test_a_retained_status_neither_resolves_an_alert_nor_keeps_one_from_opening(told):
    rule(told, Kind.DEVICE_SILENT, minutes=30)
    long_ago = NOW - timedelta(hours=5)
    Device.objects.filter(pk=told.device.pk).update(online=False, last_seen_at=long_ago)
    for minute, online in enumerate((b"false", b"true", b"false")):
        # A consumer that reconnects is told again what the broker holds.
        note_status(told.device, b'{"online": %s}' % online, retained=True)
        assert judge(NOW + timedelta(minutes=minute)).resolved == 0
    assert Alert.objects.count() == 1


def test_while_the_consumer_is_away_nobody_is_called_silent_that_was_connected(told):
    rule(told, Kind.DEVICE_SILENT, minutes=30)
    Device.objects.filter(pk=told.device.pk).update(online=True, last_seen_at=NOW)
    Sign.objects.create(name=CONSUMER, at=NOW)
    back = NOW + timedelta(hours=2)
    assert judge(NOW + timedelta(hours=1)).opened == 0
    assert judge(back).opened == 0
    Sign.objects.update(at=back + timedelta(days=1))  # beats again
    assert judge(back + timedelta(minutes=30)).opened == 0
    assert judge(back + timedelta(minutes=32)).opened == 1
    Sign.objects.update(at=back)
    assert judge(back + timedelta(hours=1)).resolved == 0  # it has not been heard of since


def test_the_time_in_which_the_server_itself_was_off_says_nothing_about_a_device(told):
    rule(told, Kind.DEVICE_SILENT, minutes=30)
    Device.objects.filter(pk=told.device.pk).update(last_seen_at=NOW)
    back = NOW + timedelta(hours=8)
    assert one_pass(back).opened == 0
    for minute in range(1, 31):
        assert judge(back + timedelta(minutes=minute)).opened == 0
    assert judge(back + timedelta(minutes=31)).opened == 1


def test_an_alert_stays_open_over_a_time_in_which_the_server_was_off(told):
    rule(told, Kind.DEVICE_SILENT, minutes=30)
    Device.objects.filter(pk=told.device.pk).update(last_seen_at=NOW - timedelta(hours=1))
    assert judge(NOW).opened == 1
    assert one_pass(NOW + timedelta(hours=8)).resolved == 0


def test_nobody_calls_a_device_silent_that_was_never_heard_of_or_is_revoked(told):
    rule(told, Kind.DEVICE_SILENT, minutes=5)
    assert judge(NOW).opened == 0
    Device.objects.filter(pk=told.device.pk).update(
        last_seen_at=NOW - timedelta(days=1), revoked_at=NOW
    )
    assert judge(NOW + timedelta(minutes=1)).opened == 0


# No session by a time of day


def test_a_day_without_a_session_by_its_time_is_told_in_the_persons_own_zone(told):
    rule(told, Kind.NO_SESSION, by=time(14, 30))
    assert judge(NOW).opened == 0  # 14:00 in Berlin
    assert judge(NOW + timedelta(minutes=30)).opened == 1
    (alert,) = open_alerts()
    assert sentence(alert) == "No session had arrived by 14:30 on Sun 22 Nov."
    midnight = datetime(2026, 11, 23, 0, 0, tzinfo=BERLIN)
    assert judge(midnight - timedelta(minutes=1)).resolved == 0
    assert judge(midnight).resolved == 1
    assert Alert.objects.get().why == "day_over"


def test_a_session_of_that_day_that_arrives_late_resolves_it(told, deliver):
    rule(told, Kind.NO_SESSION, by=time(13))
    assert judge(NOW).opened == 1
    deliver("final", NOW, started_at="2026-11-22T07:00:00Z", ended_at="2026-11-22T07:05:00Z")
    assert judge(NOW + timedelta(minutes=1)).resolved == 1
    assert ending(Alert.objects.get()) == "A session for that day has arrived."


def test_a_session_under_way_counts_as_one_and_yesterdays_does_not(told, deliver):
    rule(told, Kind.NO_SESSION, by=time(13))
    yesterday = {"started_at": "2026-11-21T09:00:00Z", "ended_at": "2026-11-21T09:05:00Z"}
    deliver("final", NOW - timedelta(hours=1), **yesterday)
    assert judge(NOW).opened == 1
    deliver("started", NOW, started_at=text(NOW))
    assert judge(NOW + timedelta(minutes=1)).resolved == 1


def test_only_the_chosen_weekdays_and_no_time_before_the_rule_was_made(told):
    rule(told, Kind.NO_SESSION, by=time(13), weekdays="123456")  # not on Sundays
    late = rule(told, Kind.NO_SESSION, by=time(13))
    Rule.objects.filter(pk=late.pk).update(changed_at=NOW - timedelta(minutes=1))
    assert judge(NOW).opened == 0
    assert one_pass(NOW + timedelta(days=1)).opened == 0  # it was off: things may be coming
    judge(NOW + timedelta(days=1, minutes=4))
    assert judge(NOW + timedelta(days=1, minutes=6)).opened == 2


# Long closures in a session under way


def checkpoint(
    at: datetime, closures: int, longest_s: float | None, duration_s: float = 60.0
) -> dict[str, Any]:
    metrics = golden("checkpoint")["metrics"] | {
        "duration_s": duration_s,
        "long_closure_count": closures,
        "longest_closure_s": longest_s,
    }
    return {"started_at": text(at - timedelta(seconds=duration_s)), "metrics": metrics}


@pytest.mark.parametrize(
    ("limits", "opened"),
    [
        ({"closures": 3}, 1),
        ({"closures": 4}, 0),
        ({"closure_s": 1.2}, 1),
        ({"closure_s": 1.3}, 0),
        ({"closures": 9, "closure_s": 1.0}, 1),
    ],
)
def test_long_closures_are_told_by_their_count_or_the_longest(told, deliver, limits, opened):
    rule(told, Kind.LONG_CLOSURES, **limits)
    deliver("checkpoint", NOW, **checkpoint(NOW, 3, 1.2))
    assert judge(NOW + timedelta(seconds=20)).opened == opened


def test_what_was_not_measured_is_no_long_closure(told, deliver):
    rule(told, Kind.LONG_CLOSURES, closures=1, closure_s=0.5)
    changes = checkpoint(NOW, 0, None)
    changes["metrics"]["long_closure_count"] = None
    deliver("checkpoint", NOW, **changes)
    assert judge(NOW).opened == 0


def test_where_closures_were_not_counted_the_longest_speaks_for_itself(told, deliver):
    rule(told, Kind.LONG_CLOSURES, closure_s=1.0)
    changes = checkpoint(NOW, 0, 1.2)
    changes["metrics"]["long_closure_count"] = None
    deliver("checkpoint", NOW, **changes)
    assert judge(NOW).opened == 1
    (alert,) = open_alerts()
    said = sentence(alert)
    assert "has at least one long closure (half a second or longer). The longest lasted" in said
    assert "None" not in said


def test_the_alert_is_over_when_the_session_is(told, deliver):
    rule(told, Kind.LONG_CLOSURES, closures=3)
    session = deliver("checkpoint", NOW, **checkpoint(NOW, 3, 1.2))
    assert judge(NOW).opened == 1
    (alert,) = open_alerts()
    assert str(alert.session_id) == session
    assert "has 3 long closures" in sentence(alert)
    assert "The longest lasted 1.2 s. The rule's limit is 3 of these." in sentence(alert)
    end = NOW + timedelta(minutes=1)
    started = text(NOW - timedelta(seconds=60))
    deliver("final", end, session_id=session, started_at=started, ended_at=text(end), revision=9)
    assert judge(end).resolved == 1
    assert Alert.objects.get().why == "session_over"


def test_a_checkpoint_that_tells_of_hours_ago_is_no_session_under_way(told, deliver):
    rule(told, Kind.LONG_CLOSURES, closures=1)
    deliver("checkpoint", NOW, **checkpoint(NOW - timedelta(hours=3), 5, 2.0))
    assert judge(NOW).opened == 0
    undated = checkpoint(NOW - timedelta(days=4000), 5, 2.0, duration_s=600)
    deliver("checkpoint", NOW, **undated)  # a Pi that lost its clock, and was offline
    assert judge(NOW).opened == 0


def test_without_a_clock_of_its_own_a_device_is_believed_by_the_servers(told, deliver):
    rule(told, Kind.LONG_CLOSURES, closures=1)
    changes = checkpoint(NOW - timedelta(days=4000), 0, None, duration_s=5)
    session = deliver("checkpoint", NOW - timedelta(seconds=60), **changes)
    changes["metrics"] |= {"duration_s": 65.0, "long_closure_count": 2}
    deliver("checkpoint", NOW, session_id=session, revision=9, **changes)
    assert judge(NOW).opened == 1


# Who is told


def test_a_rule_stops_with_the_permission_and_its_alert_is_gone_for_the_caregiver(told, api):
    rule(told, Kind.DEVICE_SILENT, minutes=30)
    Device.objects.filter(pk=told.device.pk).update(last_seen_at=NOW - timedelta(hours=1))
    assert judge(NOW).opened == 1
    assert len(api("carl").get("/api/alerts/").json()["results"]) == 1
    link = CareLink.objects.get(caregiver=told.carl, ended_at=None)
    link.may_get_alerts = False
    link.save()
    assert api("carl").get("/api/alerts/").json()["results"] == []
    assert judge(NOW + timedelta(minutes=1)).resolved == 1
    assert judge(NOW + timedelta(minutes=2)).opened == 0


def test_a_person_may_have_rules_on_themselves(told, api):
    rule(told, Kind.DEVICE_SILENT, receiver="anna", minutes=30)
    Device.objects.filter(pk=told.device.pk).update(last_seen_at=NOW - timedelta(hours=1))
    assert judge(NOW).opened == 1
    (alert,) = api("anna").get("/api/alerts/", state="open").json()["results"]
    assert (alert["kind"], alert["user"], alert["resolved_at"]) == ("device_silent", "anna", None)
    assert api("otto").get("/api/alerts/").json()["results"] == []
    assert api("anna").get("/api/alerts/", state="x").status_code == 400
    assert api("device").get("/api/alerts/").status_code == 403
    assert api("nobody").get("/api/alerts/").status_code == 401


def test_an_earlier_pass_that_comes_late_changes_nothing(told):
    rule(told, Kind.DEVICE_SILENT, minutes=30)
    Device.objects.filter(pk=told.device.pk).update(last_seen_at=NOW - timedelta(hours=1))
    judge(NOW)
    Device.objects.filter(pk=told.device.pk).update(last_seen_at=NOW + timedelta(minutes=1))
    judge(NOW + timedelta(minutes=2))
    Device.objects.filter(pk=told.device.pk).update(last_seen_at=NOW - timedelta(hours=1))
    assert judge(NOW + timedelta(minutes=1)).opened == 0


# IntegrityError: the person was deleted while the rule was being judged.
@pytest.mark.parametrize("error", [ValueError, IntegrityError])
def test_a_rule_that_cant_be_judged_costs_itself_alone(told, monkeypatch, caplog, error):
    rule(told, Kind.DEVICE_SILENT, minutes=30)
    bad = rule(told, Kind.NO_SESSION, by=time(13))
    rule(told, Kind.DEVICE_SILENT, receiver="anna", minutes=30)
    assert judge(NOW).opened == 1  # the bad one: today there was no session
    real = findings.JUDGES[Kind.NO_SESSION]

    def judged(each, facts):
        if each.pk == bad.pk:
            raise error("anna")
        return real(each, facts)

    monkeypatch.setitem(findings.JUDGES, Kind.NO_SESSION, judged)
    Device.objects.filter(pk=told.device.pk).update(last_seen_at=NOW - timedelta(hours=1))
    done = judge(NOW + timedelta(minutes=1))
    assert (done.opened, done.resolved) == (2, 0)  # its own alert is neither over nor renewed
    assert f"rule {bad.pk} failed: {error.__name__}" in caplog.text
    assert "anna" not in caplog.text


def test_a_pass_over_many_people_asks_as_often_as_one_over_few(told):
    def asked(now: datetime) -> int:
        with CaptureQueriesContext(connection) as queries:
            judge(now)
        return len(queries)

    def more(count: int) -> None:
        for n in range(count):
            person = Person.objects.create(
                username=f"p{Person.objects.count()}-{n}", timezone="Europe/Berlin"
            )
            Device.objects.create(person=person, label="One", last_seen_at=timezone.now())
            for kind, limits in (
                (Kind.DEVICE_SILENT, {"minutes": 99}),
                (Kind.NO_SESSION, {"by": time(23, 59)}),
                (Kind.LONG_CLOSURES, {"closures": 1}),
                (Kind.BLINK_RATE, {"spread": 2}),
            ):
                Rule.objects.create(receiver=person, person=person, kind=kind, **limits)

    more(2)
    few = asked(NOW)
    more(30)
    assert asked(NOW + timedelta(minutes=1)) == few
