"""What could not be accepted can be looked at, tried again and dropped, and is never lost by it."""

import json
from datetime import timedelta

import pytest
from django.db import DataError
from django.test import Client
from django.utils import timezone

from server.care.models import Person
from server.common.fields import instant_text
from server.devices import manage
from server.devices.models import DeadLetter, Device, FormerPerson
from server.operations import cli
from server.session_data import dead_letters
from server.session_data.accept import accept_session
from server.session_data.dead_letters import keep_dead_letter, retry
from server.session_data.models import SessionData
from tests.server.conftest import golden


@pytest.fixture
def run(world, capsys, monkeypatch):
    """`blink-server dead-letters ...`: exit status, output, errors."""
    monkeypatch.setenv("BLINKLOG_SECRET_KEY", "x" * 60)
    monkeypatch.setattr("os.umask", lambda _: 0)

    def run_it(*arguments):
        status = cli.main(["dead-letters", *map(str, arguments)])
        told = capsys.readouterr()
        return status, told.out, told.err

    return run_it


def keep(device, document, reason="refused by an older server"):
    payload = document if isinstance(document, bytes) else json.dumps(document).encode()
    keep_dead_letter("mqtt", str(device.pk), device, reason, payload)
    return DeadLetter.objects.first()


def test_they_are_listed_and_shown(run, world):
    document = golden("final")
    letter = keep(world.device, document)
    told = json.loads(run("list", "--json")[1])
    assert told["id"] == letter.pk
    assert (told["user"], told["door"], told["reason"]) == ("anna", "mqtt", letter.reason)
    assert f"{letter.pk}  " in run()[1]
    assert document["session_id"] not in run("list")[1]
    assert json.loads(run("show", letter.pk)[1]) == document


def test_what_is_accepted_on_retry_is_stored_and_no_letter_any_more(run, world):
    documents = [golden("final"), golden("final")]
    letters = [keep(world.device, document) for document in documents]
    status, out, _ = run("retry", letters[0].pk)
    assert (status, out) == (0, f"{letters[0].pk}  stored\n")
    session = SessionData.objects.get()
    assert (session.document, session.user, session.device) == (
        documents[0], world.anna, world.device,
    )  # fmt: skip
    assert run("retry", "--all")[0] == 0
    assert SessionData.objects.count() == 2
    assert not DeadLetter.objects.exists()


def test_what_has_come_meanwhile_is_not_doubled_and_no_letter_any_more(run, world):
    final = golden("final")
    accept_session(world.device, final)
    keep(world.device, final)
    keep(world.device, golden("started", session_id=final["session_id"]))
    out = run("retry", "--all")[1]
    assert "duplicate" in out
    assert "stale" in out
    assert SessionData.objects.get().document == final
    assert not DeadLetter.objects.exists()


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (b"{", "expected JSON"),
        (b"[]", "expected a JSON object"),
        (json.dumps(golden("final", state="asleep")).encode(), "state"),
        (
            json.dumps(golden("final", note="?")).encode().replace(b"?", b"\xff"),
            "not stored completely",
        ),
        (
            json.dumps(golden("final", note="?")).encode().replace(b"?", b"\xf0\x9f\x98"),
            "not stored completely",
        ),
        (
            json.dumps(golden("final", note="?")).encode().replace(b"?", b"\x00"),
            "not stored completely",
        ),
        (json.dumps(golden("final", note="x" * 300_000)).encode(), "not stored completely"),
    ],
)
def test_what_is_still_refused_stays_with_the_new_reason(run, world, payload, reason):
    letter = keep(world.device, payload)
    status, out, err = run("retry", letter.pk)
    assert (status, "rejected" in out) == (1, True)
    assert "1 rejected again" in err
    letter.refresh_from_db()
    assert reason in letter.reason
    assert not SessionData.objects.exists()


def test_a_device_that_was_unknown_then_is_looked_for_again_and_a_revoked_one_stays_out(world):
    final = golden("final")
    payload = json.dumps(final).encode()
    keep_dead_letter("mqtt", str(world.device.pk), None, "no such device", payload)
    letter = DeadLetter.objects.get()
    Device.objects.update(revoked_at="2026-01-01T00:00:00Z")
    assert retry(letter).outcome == "rejected"
    Device.objects.update(revoked_at=None)
    assert retry(letter).outcome == "stored"
    assert SessionData.objects.get().user == world.anna


@pytest.mark.parametrize("sender", ["nonsense", "00000000-0000-4000-8000-000000000000"])
def test_nobodys_documents_stay_nobodys(world, sender):
    keep_dead_letter("mqtt", sender, None, "no such device", json.dumps(golden("final")).encode())
    assert retry(DeadLetter.objects.get()).outcome == "rejected"


def began(document, moment, *, synchronized=True):
    """The same, begun then by a clock that is set, or is not."""
    clock = document["clock"] | {"synchronized": synchronized}
    return document | {"started_at": instant_text(moment), "clock": clock}


@pytest.fixture
def given_away(world):
    """Anna's device is Otto's since a minute ago."""
    manage.reassign(world.anna, world.device, world.otto)
    minute = timezone.now() - timedelta(minutes=1)
    FormerPerson.objects.update(until=minute)
    Device.objects.filter(pk=world.device.pk).update(reassigned_at=minute)
    return Device.objects.select_related("person").get(pk=world.device.pk)


HOUR_AGO, JUST_NOW = timedelta(hours=1), timedelta(seconds=5)


@pytest.mark.parametrize(
    ("ago", "change", "whose"),
    [
        (HOUR_AGO, {}, "anna"),
        (JUST_NOW, {}, "otto"),
        (HOUR_AGO, {"synchronized": False}, "otto"),  # as it would have been taken for
        (timedelta(days=30_000), {}, "otto"),
        (-timedelta(days=30), {}, "otto"),
    ],
)
def test_a_letter_is_of_whom_the_device_measured_then(given_away, ago, change, whose):
    document = began(golden("final"), timezone.now() - ago, **change)
    assert keep(given_away, document).person.username == whose
    cut_off = json.dumps(document).encode()[:-7]
    assert keep(given_away, cut_off).person.username == whose
    given_away.revoked_at = timezone.now()
    given_away.save()
    keep_dead_letter("mqtt", str(given_away.pk), None, "revoked", cut_off)
    assert DeadLetter.objects.first().person.username == whose


@pytest.mark.parametrize("text", ["", "x", "2026-11-22T10:15:30", "0001-01-01T00:00:00+14:00"])
def test_one_that_says_no_time_is_of_whose_device_it_is(given_away, text):
    assert keep(given_away, golden("final", started_at=text)).person.username == "otto"


def test_one_of_a_session_that_is_kept_is_of_that_ones_person(world):
    started = began(golden("started"), timezone.now(), synchronized=False)
    accept_session(world.device, started)
    manage.reassign(world.anna, world.device, world.otto)
    end = golden("final", session_id=started["session_id"], metrics=None)
    end = began(end, timezone.now(), synchronized=False)
    assert keep(world.device, end).person == world.anna
    assert keep(world.other_device, end).person == world.otto  # which only claims to know it


def test_what_was_measured_for_an_account_that_is_gone_is_not_kept(world, given_away):
    world.anna.delete()
    letter = keep(given_away, began(golden("final"), timezone.now() - HOUR_AGO))
    assert (letter.person, letter.payload) == (None, "")
    assert letter.size > 0


def test_one_that_is_taken_late_is_its_persons_all_the_same(run, world):
    keep(world.device, began(golden("final"), timezone.now(), synchronized=False))
    manage.reassign(world.anna, world.device, world.otto)
    assert json.loads(run("list", "--json")[1])["user"] == "anna"
    assert run("retry", "--all")[0] == 0
    assert SessionData.objects.get().user == world.anna


def test_what_the_database_refuses_stays(world, monkeypatch):
    letter = keep(world.device, golden("final"))

    def accept(documents):
        raise DataError("out of range")

    monkeypatch.setattr(dead_letters, "accept_many", accept)
    assert retry(letter).outcome == "rejected"
    assert DeadLetter.objects.get().reason == "the database can't store this document"


def test_they_are_dropped_when_somebody_says_so(run, world):
    letters = [keep(world.device, golden("final")) for _ in range(3)]
    assert run("drop", letters[1].pk) == (0, "deleted 1\n", "")
    assert run("drop", "--all")[1] == "deleted 2\n"
    assert not DeadLetter.objects.exists()


@pytest.mark.parametrize("arguments", [["show", 7], ["retry", 7], ["drop", 7]])
def test_one_that_is_not_there_is_said_to_be_so(run, arguments):
    status, out, err = run(*arguments)
    assert (status, out) == (1, "")
    assert "expected a dead letter's id" in err


@pytest.mark.parametrize("action", ["retry", "drop"])
def test_all_of_them_are_meant_only_where_it_is_said(run, action):
    with pytest.raises(SystemExit):
        run(action)


def test_they_are_tried_again_in_the_admin_site(world):
    good, bad = keep(world.device, golden("final")), keep(world.device, b"{")
    client = Client()
    client.force_login(Person.objects.create_superuser("root", timezone="UTC"))
    form = {"action": "retry", "_selected_action": [good.pk, bad.pk]}
    page = client.post("/admin/session_data/deadletter/", form, follow=True)
    assert "1 accepted, 1 rejected again" in page.content.decode()
    assert SessionData.objects.count() == 1
    assert DeadLetter.objects.get() == bad
