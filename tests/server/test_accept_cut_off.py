"""A device that lost what it wrote last calls its session interrupted in a revision below ours."""

import json
from uuid import UUID

import pytest

from server.keeping.buried import DELETED
from server.keeping.deletion import delete_batch
from server.session_data.accept import Writer, accept_many, accept_own, accept_session
from server.session_data.models import SessionData
from tests.server.conftest import golden

END = ("state", "ended_at", "ended_by")


def documents() -> tuple[dict, dict]:
    """What the server had been sent, and what the device says after the cut."""
    newest = golden("checkpoint", revision=45)
    newest["metrics"]["duration_s"] = 450.3
    newest["metrics"]["blink_count"] = 99
    return newest, golden("interrupted", session_id=newest["session_id"], revision=6)


def test_an_active_session_is_ended_and_keeps_what_was_measured_later(world):
    newest, cut_off = documents()
    accept_session(world.device, newest)
    assert accept_session(world.device, cut_off).outcome == "stale"
    row = SessionData.objects.get()
    assert (row.state, row.ended_by, row.revision) == ("interrupted", "power_loss", 46)
    assert row.ended_at == row.started_at.replace(minute=23, second=0, microsecond=423_000)
    assert row.blink_count == 99
    end = {"revision": 46, **{name: row.document[name] for name in END}}
    assert row.document == newest | end
    assert row.document["ended_at"] == "2026-11-22T10:23:00.423Z"


def test_in_one_batch_with_it_too_and_as_often_as_one_likes(world):
    newest, cut_off = documents()
    writer = Writer(world.anna, world.device)
    answers = accept_many([(writer, each) for each in (newest, cut_off, cut_off, newest)])
    assert [each.outcome for each in answers] == ["stored", "stale", "stale", "duplicate"]
    accept_session(world.device, cut_off)
    row = SessionData.objects.get()
    assert (row.state, row.revision, row.blink_count) == ("interrupted", 46, 99)


def test_what_still_was_on_its_way_does_not_begin_it_again(world):
    newest, cut_off = documents()
    accept_session(world.device, newest)
    accept_session(world.device, cut_off)
    assert accept_session(world.device, newest | {"revision": 46}).outcome == "duplicate"
    assert SessionData.objects.get().state == "interrupted"


@pytest.mark.parametrize("kind", ["final", "interrupted"])
def test_a_session_that_is_over_stays_as_it_is(world, kind):
    _, cut_off = documents()
    over = golden(kind, session_id=cut_off["session_id"], revision=45)
    accept_session(world.device, over)
    accept_session(world.device, cut_off)
    assert SessionData.objects.get().document == over


def test_a_late_checkpoint_ends_nothing(world):
    newest, _ = documents()
    accept_session(world.device, newest)
    accept_session(world.device, newest | {"revision": 6})
    assert SessionData.objects.get().document == newest


def test_another_device_ends_nothing(world):
    newest, cut_off = documents()
    accept_session(world.device, newest)
    assert accept_session(world.other_device, cut_off).outcome == "rejected"
    assert accept_own(world.anna, cut_off).outcome == "rejected"
    assert SessionData.objects.get().document == newest


def test_a_session_that_was_deleted_stays_deleted(world):
    newest, cut_off = documents()
    accept_session(world.device, newest)
    delete_batch([UUID(newest["session_id"])], world.anna)
    answer = accept_session(world.device, cut_off)
    assert (answer.outcome, answer.reason) == ("stale", DELETED)
    assert not SessionData.objects.exists()


def test_the_ended_document_is_read_like_any(world, api):
    newest, cut_off = documents()
    accept_session(world.device, newest)
    accept_session(world.device, cut_off)
    shown = json.loads(api("anna").get(f"/api/session/{newest['session_id']}/").content)
    assert (shown["state"], shown["ended_by"]) == ("interrupted", "power_loss")
