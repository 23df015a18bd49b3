"""What becomes of notes: retention, deletion, a change of the device's owner, export, restore."""

import csv
import io
import zipfile
from datetime import timedelta

import pytest
from django.utils import timezone

from server.backup.carried import Carried
from server.devices.manage import reassign
from server.notes import write
from server.notes.models import Note
from server.retention.deletion import Scope, delete_account, delete_sessions
from server.retention.everything import everything
from server.retention.models import Retention
from server.retention.tidying import tidy
from server.session_data.accept import accept_session
from server.session_data.models import Tombstone
from tests.server.conftest import golden


@pytest.fixture
def session(world) -> str:
    document = golden("final")
    assert accept_session(world.device, document).outcome == "stored"
    return document["session_id"]


def noted(author, person, session=None, **given):
    return write.add(author, person, session, {"kind": "text", "text": "words"} | given)


def kept() -> set:
    return {note.pk for note in Note.objects.all()}


def set_back(note, **columns):
    """Restore a note as a backup of before has it."""
    Note(**{field.attname: getattr(note, field.attname) for field in note._meta.fields}).save()
    Note.objects.filter(pk=note.pk).update(**columns)


def test_notes_go_with_their_session_and_others_stay(world, session):
    noted(world.anna, world.anna, session)
    noted(world.carl, world.anna, session)
    stays = noted(world.anna, world.anna)
    done = delete_sessions(world.anna, Scope(session_id=session), by=world.anna)
    assert done.notes == 2
    assert kept() == {stays.pk}


def test_notes_go_with_the_person_and_a_caregivers_own_account_leaves_them(world, session):
    noted(world.anna, world.anna)
    left = noted(world.carl, world.anna, session)
    his = noted(world.carl, world.carl)
    delete_account(world.carl, world.carl)
    assert his.pk not in kept()
    assert Note.objects.get(pk=left.pk).author_label == "carl"
    delete_account(world.anna, world.anna)
    assert kept() == set()


def test_notes_past_their_persons_retention_time_are_deleted(world):
    now = timezone.now()
    old, new = (noted(world.anna, world.anna, at=now - timedelta(days=n)) for n in (11, 9))
    others = noted(world.otto, world.otto, at=now - timedelta(days=11))
    Retention.objects.create(person=world.anna, days=10)
    assert tidy(now).others["notes"] == 1
    assert kept() == {new.pk, others.pk}
    assert old.pk not in kept()


def test_a_device_that_is_given_away_leaves_the_notes_with_the_former_person(world, api, session):
    note = noted(world.anna, world.anna, session)
    reassign(world.anna, world.device, world.otto)
    assert api("anna").get(f"/api/notes/{note.pk}/").status_code == 200
    assert api("otto").get(f"/api/notes/{note.pk}/").status_code == 404
    body = {"kind": "text", "text": "x", "session_id": session}
    assert api("otto")("POST", "/api/notes/", body).status_code == 404


def test_a_backup_brings_no_deleted_note_back_and_shares_none_again(world, session):
    deleted, hidden, stays = (noted(world.anna, world.anna, shared=True) for _ in range(3))
    with_session = noted(world.carl, world.anna, session)
    write.delete(world.anna, deleted)
    write.change(world.anna, hidden, {"shared": False})
    delete_sessions(world.anna, Scope(session_id=session), by=None)
    since = Carried.from_json(Carried.read().as_json())
    Tombstone.objects.all().delete()
    accept_session(world.device, golden("final", session_id=session))
    set_back(deleted)
    set_back(with_session)
    Note.objects.filter(pk=hidden.pk).update(shared=True)
    since.apply()
    assert kept() == {hidden.pk, stays.pk}
    assert not Note.objects.get(pk=hidden.pk).shared
    assert Note.objects.get(pk=stays.pk).shared


def test_the_export_of_everything_has_all_notes_about_a_person_and_no_others(world, session):
    noted(world.anna, world.anna, text="private")
    noted(world.carl, world.anna, session, text="by Carl")
    noted(world.carl, world.carl, text="about Carl")

    def rows(person):
        archive = zipfile.ZipFile(io.BytesIO(b"".join(everything(person))))
        return list(csv.DictReader(io.StringIO(archive.read("notes.csv").decode())))

    assert {(each["author_name"], each["text"]) for each in rows(world.anna)} == {
        ("anna", "private"),
        ("carl", "by Carl"),
    }
    assert [each["text"] for each in rows(world.carl)] == ["about Carl"]
