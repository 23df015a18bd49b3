"""Sessions are kept as long as the person or the server says, and no longer."""

from datetime import timedelta

from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from server.care.models import AuditEntry, Person
from server.retention import deletion, tidying
from server.retention.models import Retention
from server.retention.tidying import tidy
from server.session_data.accept import accept_session
from server.session_data.dead_letters import keep_dead_letter
from server.session_data.models import SessionData
from tests.server.conftest import PASSWORD, golden
from tests.server.retention.conftest import logged_in
from tests.server.retention.test_retention import deletions, on, stored


def test_what_was_refused_is_kept_no_longer_than_sessions(world, settings):
    for person_device in (world.device, world.other_device):
        keep_dead_letter("mqtt", str(person_device.pk), person_device, "bad", b"{")
    keep_dead_letter("mqtt", "stranger", None, "no such device", b"{")
    Retention.objects.create(person=world.anna, days=10)
    later = timezone.now() + timedelta(days=11)
    assert tidy().others["rejected documents"] == 0
    assert tidy(later).others["rejected documents"] == 1
    assert tidy(later).others["rejected documents"] == 0
    settings.RETENTION_DAYS = 9
    assert tidy(later).others["rejected documents"] == 2


SHORTEN = "/account/data/shorten/?days=10"


def test_a_shorter_retention_says_what_goes_asks_for_the_password_and_waits_a_day(world, anna):
    today = timezone.now()
    day = f"{today - timedelta(days=12):%Y-%m-%d}"
    old = on(day, world)
    young = on(f"{today - timedelta(days=8):%Y-%m-%d}", world)
    assert tidy().sessions == 0
    assert anna.post("/account/data/", {"days": "6"}).status_code == 400
    answer = anna.post("/account/data/", {"days": "10"}, follow=True)
    assert answer.redirect_chain == [(SHORTEN, 302)]
    assert "1 session will be deleted permanently" in answer.content.decode()
    assert anna.post(SHORTEN, {"password": "wrong"}).status_code == 400
    assert not Retention.objects.exists()
    assert anna.post(SHORTEN, {"password": PASSWORD}).status_code == 302
    assert "1 session will be deleted" in anna.get("/account/data/").content.decode()
    assert tidy(today + timedelta(hours=23)).sessions == 0
    done = tidy(today + timedelta(hours=25))
    assert (done.sessions, done.more) == (1, False)
    assert [str(each.pk) for each in SessionData.objects.all()] == [young]
    assert accept_session(world.device, golden("final", session_id=old)).outcome == "stale"
    assert deletions() == [f"1 sessions older than 10 days, of {day}"]
    told = AuditEntry.objects.get(event="retention_changed")
    assert told.actor == world.anna
    assert told.detail.startswith("10 days, from ")


def test_a_shorter_retention_can_be_taken_back_for_a_day(world, anna):
    on(f"{timezone.now() - timedelta(days=12):%Y-%m-%d}", world)
    anna.post(SHORTEN, {"password": PASSWORD})
    logged_in(world.carl).post("/account/data/keep/")
    assert Retention.objects.get().next_days == 10
    assert (
        "The change was cancelled" in anna.post("/account/data/keep/", follow=True).content.decode()
    )
    assert tidy(timezone.now() + timedelta(hours=25)).sessions == 0
    assert "no change to cancel" in anna.post("/account/data/keep/", follow=True).content.decode()


def test_a_longer_retention_holds_at_once_and_ends_a_shorter_one(world, anna):
    Retention.objects.create(person=world.anna, days=20)
    on(f"{timezone.now() - timedelta(days=18):%Y-%m-%d}", world)
    anna.post(SHORTEN, {"password": PASSWORD})
    assert anna.post("/account/data/", {"days": "30"}).headers["Location"] == "/account/data/"
    assert tidy(timezone.now() + timedelta(days=3)).sessions == 0
    assert anna.get("/account/data/shorten/?days=40").status_code == 302
    assert anna.get("/account/data/shorten/?days=").status_code == 302


def test_nothing_is_shortened_without_log_in(world):
    for path in ("shorten/?days=7", "keep/"):
        assert Client().post(f"/account/data/{path}").headers["Location"].startswith("/login/")


def test_the_servers_default_holds_for_whoever_has_not_chosen(world, anna, settings):
    settings.RETENTION_DAYS = 10
    on(f"{timezone.now() - timedelta(days=12):%Y-%m-%d}", world)
    anna.post("/account/data/", {"days": ""})  # for ever
    assert tidy().sessions == 0
    Retention.objects.all().delete()
    assert tidy().sessions == 1


def test_one_run_is_bounded_and_says_that_there_is_more(world, monkeypatch):
    monkeypatch.setattr(tidying, "BATCH", 2)
    Retention.objects.create(person=world.anna, days=10)
    for _ in range(5):
        on(f"{timezone.now() - timedelta(days=12):%Y-%m-%d}", world)
    assert (tidy(most=3).sessions, SessionData.objects.count()) == (3, 2)
    assert tidy(most=3).more is False
    assert tidy().sessions == 0


def test_a_person_who_is_deleted_while_old_sessions_go_does_not_end_the_run(world, monkeypatch):
    Retention.objects.create(person=world.anna, days=10)
    on(f"{timezone.now() - timedelta(days=12):%Y-%m-%d}", world)

    def first_gone(batch, person):
        Person.objects.get(pk=person.pk).delete()
        return deletion.delete_batch(batch, person)

    monkeypatch.setattr(tidying, "delete_batch", first_gone)
    assert tidy().more is False
    connection.check_constraints()
    assert deletions() == []


def test_a_session_without_a_believable_date_is_as_old_as_its_arrival(world):
    Retention.objects.create(person=world.anna, days=10)
    clock = golden("final")["clock"] | {"synchronized": False}
    stored(world, clock=clock, started_at="1970-01-01T00:01:00Z", ended_at="1970-01-01T00:06:00Z")
    assert tidy().sessions == 0
    assert tidy(timezone.now() + timedelta(days=11)).sessions == 1


def test_a_run_with_nothing_to_do_asks_as_often_whoever_there_is(world):
    def asked() -> int:
        with CaptureQueriesContext(connection) as queries:
            tidy()
        return len(queries)

    asked()
    Retention.objects.create(person=world.anna, days=10)
    few = asked()
    for name in ("carl", "ella", "otto"):
        Retention.objects.create(person=getattr(world, name), days=10)
    assert asked() == few
