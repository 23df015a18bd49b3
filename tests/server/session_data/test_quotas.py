"""No device and no person fills the disk, and what they may not store yet is not lost."""

import io
import json
import shutil
from collections import namedtuple
from datetime import timedelta

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from server.common import disk
from server.common.mqtt import Message
from server.devices.models import DeadLetter
from server.ingest.batches import take
from server.session_data import quotas
from server.session_data.dead_letters import keep_dead_letter, retry
from server.session_data.models import SessionData
from tests.server.conftest import Api, golden

START = "/api/session/start/"
Usage = namedtuple("Usage", "total used free")


def large(kilobytes=95, **changes):
    return golden("started", **changes) | {"padding": "x" * kilobytes * 1024}


def sent(world, document, token="device"):
    return Api(world.tokens[token])("POST", START, document)


def message(device, document):
    topic = f"blinklog/1/devices/{device.pk}/sessions"
    return Message(topic=topic, payload=json.dumps(document).encode())


@pytest.fixture
def small(settings):
    settings.DEVICE_MB_PER_DAY = 1
    settings.PERSON_MB_PER_DAY = settings.PERSON_MB = 0


@pytest.fixture
def free(monkeypatch):
    """Sets the free megabytes of the disk."""
    monkeypatch.setattr(disk, "READ_EVERY_S", 0)

    def set_free(megabytes):
        monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(1, 1, megabytes * disk.MB))

    yield set_free
    monkeypatch.undo()
    disk.WATCH.state()


@pytest.mark.usefixtures("small")
def test_a_device_above_its_quota_is_told_to_wait_over_http(world):
    statuses = [sent(world, large()).status_code for _ in range(12)]
    assert statuses == [201] * 10 + [429] * 2
    answer = sent(world, large())
    assert int(answer["Retry-After"]) == quotas.QUOTA_WAIT_S
    assert answer.json()["code"] == "quota_reached"
    assert "outcome" not in answer.json()  # a device would park what was rejected
    assert not DeadLetter.objects.exists()
    assert sent(world, large(), "other device").status_code == 201


@pytest.mark.usefixtures("small")
def test_a_device_above_its_quota_gets_no_answer_over_mqtt(world):
    acceptances = take([message(world.device, large()) for _ in range(12)])
    assert [each and each.outcome for each in acceptances] == ["stored"] * 10 + [None] * 2
    assert SessionData.objects.count() == 10
    assert not DeadLetter.objects.exists()
    (other,) = take([message(world.other_device, large())])
    assert other.outcome == "stored"


@pytest.mark.usefixtures("small")
def test_the_next_day_has_room_again(world):
    take([message(world.device, large()) for _ in range(10)])
    document = large()
    assert take([message(world.device, document)]) == [None]
    yesterday = SessionData.objects.first().updated_at - timedelta(days=1)
    SessionData.objects.update(updated_at=yesterday)
    quotas._sums.clear()  # they are read every few seconds
    assert take([message(world.device, document)])[0].outcome == "stored"


def test_several_processes_together_exceed_a_quota_by_little(world, settings, monkeypatch):
    settings.DEVICE_MB_PER_DAY = 6
    processes = [{}, {}, {}]  # each has read its own sums
    stored = 0
    for number in range(90):
        monkeypatch.setattr(quotas, "_sums", processes[number % 3])
        stored += sent(world, large(254)).status_code == 201
    most = 6 * disk.MB + len(processes) * quotas.READ_EVERY_BYTES
    assert 6 * disk.MB <= stored * 256 * 1024 <= most < 90 * 256 * 1024


def room_after(world, growth):
    """The answer for so many bytes of the device."""
    room = quotas.room_for({world.device.pk}, {world.anna.pk}, timezone.now())
    return room.take(growth, world.device.pk, world.anna.pk)


def test_what_is_used_is_read_more_often_as_a_quota_fills(
    world, settings, django_assert_num_queries
):
    settings.DEVICE_MB_PER_DAY = 640
    settings.PERSON_MB_PER_DAY = settings.PERSON_MB = 0
    most = settings.DEVICE_MB_PER_DAY // quotas.PROCESSES * disk.MB
    for expected in (1, 0, 1):  # the third time, others may have stored as much
        with django_assert_num_queries(expected):
            assert room_after(world, most // 2) is None
    settings.DEVICE_MB_PER_DAY = 8
    for _ in range(2):
        with django_assert_num_queries(1):
            assert room_after(world, quotas.READ_EVERY_BYTES) is None


def test_without_a_quota_nothing_is_read(world, settings, django_assert_num_queries):
    settings.DEVICE_MB_PER_DAY = settings.PERSON_MB_PER_DAY = settings.PERSON_MB = 0
    with django_assert_num_queries(0):
        assert room_after(world, 1000 * disk.MB) is None


@pytest.mark.usefixtures("small")
def test_a_session_counts_once_however_often_it_is_sent(world):
    document = large(200)
    for revision in range(1, 10):
        (acceptance,) = take([message(world.device, document | {"revision": revision})])
        assert acceptance.outcome == "stored"
    quotas._sums.clear()
    for revision in range(10, 20):
        (acceptance,) = take([message(world.device, document | {"revision": revision})])
        assert acceptance.outcome == "stored"


@pytest.mark.usefixtures("small")
def test_many_small_documents_count_with_their_rows(world):
    acceptances = take([message(world.device, golden("started")) for _ in range(600)])
    stored = sum(each is not None for each in acceptances)
    assert stored < disk.MB / quotas.ROW_BYTES


def test_a_persons_devices_have_a_quota_together(world, settings):
    settings.DEVICE_MB_PER_DAY = settings.PERSON_MB = 0
    settings.PERSON_MB_PER_DAY = 1
    for _ in range(10):
        assert sent(world, large()).status_code == 201
    assert sent(world, large()).status_code == 429
    assert sent(world, {}, "anna").status_code == 201  # a small one still fits
    assert sent(world, large(), "other device").status_code == 201  # another person's


def test_what_a_person_has_in_all_is_bounded_until_they_delete_some(world, settings):
    settings.DEVICE_MB_PER_DAY = settings.PERSON_MB_PER_DAY = 0
    settings.PERSON_MB = 1
    assert sum(sent(world, large()).status_code == 201 for _ in range(12)) == 10
    SessionData.objects.first().delete()
    quotas._sums.clear()  # they are read every few seconds
    assert sent(world, large()).status_code == 201
    assert sent(world, large()).status_code == 429


def test_a_person_without_a_device_has_the_same_quota(world, settings):
    settings.PERSON_MB_PER_DAY = 1
    SessionData.objects.all().delete()
    for _ in range(10):
        sent(world, large())
    body = {"started_at": "2026-11-22T10:00:00Z"}
    statuses = [sent(world, body, "anna").status_code for _ in range(20)]
    assert statuses[-1] == 429
    assert set(statuses) == {201, 429}


@pytest.mark.usefixtures("small")
def test_retrying_a_rejected_document_above_the_quota_keeps_it(world):
    take([message(world.device, large()) for _ in range(10)])
    payload = json.dumps(large()).encode()
    keep_dead_letter("mqtt", str(world.device.pk), world.device, "an old reason", payload)
    assert retry(DeadLetter.objects.get()).outcome == "deferred"
    assert DeadLetter.objects.exists()


# The disk


def test_with_a_full_disk_nothing_is_stored_and_nothing_is_lost(world, free, settings):
    free(settings.DISK_RESERVE_MB - 1)
    answer = sent(world, golden("started"))
    assert (answer.status_code, answer.json()["code"]) == (503, "disk_full")
    assert int(answer["Retry-After"]) == quotas.DISK_WAIT_S
    assert take([message(world.device, golden("started"))]) == [None]
    assert not SessionData.objects.exists()
    assert not DeadLetter.objects.exists()
    assert Api(world.tokens["anna"]).get("/api/session/history/").status_code == 200
    free(settings.DISK_RESERVE_MB + 1)
    assert sent(world, golden("started")).status_code == 201


@pytest.mark.parametrize(("megabytes", "state"), [(9999, "ok"), (1000, "low"), (10, "full")])
def test_the_operator_is_told_before_the_disk_is_full(
    db, client, free, caplog, monkeypatch, megabytes, state
):
    free(megabytes)
    monkeypatch.setattr(disk.WATCH, "_warned_s", -disk.math.inf)
    answer = client.get("/readyz")
    assert (answer.status_code, answer.json()["disk"]) == (200, state)
    assert ("the disk is" in caplog.text) == (state != "ok")
    out = io.StringIO()
    if state == "ok":
        call_command("check_room", json=True, stdout=out)
    else:
        with pytest.raises(CommandError, match="free disk space"):
            call_command("check_room", json=True, stdout=out)
    assert json.loads(out.getvalue())["disk"] == state


def test_the_log_repeats_the_warning_once_an_hour(monkeypatch, settings, caplog):
    now_s = [0.0]
    watch = disk.DiskWatch(lambda: now_s[0])
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(1, 1, 1000 * disk.MB))
    for _ in range(720):
        watch.state()
        now_s[0] += 10
    assert caplog.text.count("nearly full") == 2


def test_the_check_names_who_is_near_the_quota(world, settings, free):
    free(9999)
    settings.PERSON_MB = 1
    for _ in range(10):
        sent(world, large())
    with pytest.raises(CommandError, match="anna"):
        call_command("check_room", stdout=io.StringIO())
