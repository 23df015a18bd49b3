"""What a restored backup must not bring back, in one database: read, set back, applied."""

from django.utils import timezone

from server.backup.carried import Carried
from server.devices.manage import reassign
from server.devices.models import Device, DeviceToken
from server.retention.deletion import Scope, delete_sessions
from server.session_data.accept import accept_session
from server.session_data.models import SessionData, Tombstone
from tests.server.conftest import golden


def test_a_session_deleted_since_stays_deleted_and_others_come_back(world):
    deleted, kept = golden("final"), golden("final")
    for document in (deleted, kept):
        accept_session(world.device, document)
    delete_sessions(world.anna, Scope(session_id=deleted["session_id"]), by=None)
    since = Carried.read()
    Tombstone.objects.all().delete()
    accept_session(world.device, deleted)
    since.apply()
    assert str(SessionData.objects.get().pk) == kept["session_id"]
    assert accept_session(world.device, deleted).outcome == "stale"


def test_somebody_elses_tombstone_deletes_no_session_on_a_restore(world):
    document = golden("final")
    accept_session(world.other_device, document)
    delete_sessions(world.otto, Scope(session_id=document["session_id"]), by=None)
    assert accept_session(world.device, document).outcome == "stored"
    Carried.read().apply()
    assert SessionData.objects.get().user == world.anna


def test_a_tombstone_from_before_owners_were_noted_deletes_its_session(world):
    document = golden("final")
    accept_session(world.device, document)
    Tombstone.objects.create(pk=document["session_id"])
    Carried.read().apply()
    assert not SessionData.objects.exists()


def test_a_device_reassigned_since_is_its_former_persons_without_credentials(world):
    """It is where its next person is, and has their broker password."""
    reassign(world.anna, world.device, world.otto)
    since = Carried.read()
    Device.objects.filter(pk=world.device.pk).update(
        person=world.anna, reassigned_at=None, credentials_ended=False
    )
    DeviceToken.objects.filter(device=world.device).update(revoked_at=None)
    since.apply()
    ended = dict(Device.objects.values_list("pk", "credentials_ended"))
    assert ended == {world.device.pk: True, world.other_device.pk: False}
    assert not DeviceToken.live(world.device).exists()
    assert DeviceToken.live(world.other_device).exists()


def test_a_device_that_only_one_of_both_knows_is_left_alone(world):
    since = Carried.read()
    new = Device.objects.create(person=world.anna, label="New", reassigned_at=timezone.now())
    world.other_device.delete()
    since.apply()
    assert not Device.objects.get(pk=new.pk).credentials_ended
