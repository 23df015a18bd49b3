"""Two doors at once: the same sessions, from many threads and processes, on a real database."""

import json
import os
import random
import subprocess
import sys
import threading
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from django.db import connection, transaction

from server.common.mqtt import Message
from server.devices.models import Device
from server.ingest.batches import take
from server.session_data.accept import Writer, accept_many, accept_session
from server.session_data.amend import amend
from server.session_data.models import SessionData
from tests.server.conftest import golden, make_world

pytestmark = pytest.mark.django_db(transaction=True)
THREADS = 6


@pytest.fixture
def world(transactional_db):
    return make_world()


def in_threads(jobs):
    """Run all jobs at the same moment; their answers, or their errors."""
    together = threading.Barrier(len(jobs))

    def run(job):
        try:
            together.wait(30)
            return job()
        finally:
            connection.close()

    with ThreadPoolExecutor(len(jobs)) as pool:
        return [future.result(120) for future in [pool.submit(run, job) for job in jobs]]


def test_one_new_session_through_six_doors_is_stored_once(world):
    for _ in range(5):
        document = golden("started")
        answers = in_threads([lambda d=document: accept_session(world.device, d)] * THREADS)
        assert sorted(a.outcome for a in answers) == ["duplicate"] * (THREADS - 1) + ["stored"]
        assert [a.created for a in answers].count(True) == 1


def test_revisions_that_race_end_as_the_highest(world):
    for _ in range(5):
        first = golden("started")
        documents = [golden("checkpoint", session_id=first["session_id"]) for _ in range(THREADS)]
        for number, document in enumerate(documents):
            document["revision"] = number + 1
        random.shuffle(documents)
        in_threads([lambda d=d: accept_session(world.device, d) for d in documents])
        assert SessionData.objects.get(pk=first["session_id"]).revision == THREADS


def test_batches_of_the_same_sessions_in_other_orders_never_wait_in_a_ring(world):
    writer = Writer(world.anna, world.device)
    for _ in range(4):
        ids = [str(uuid.uuid4()) for _ in range(100)]
        orders = [random.sample(ids, len(ids)) for _ in range(THREADS)]
        for revision in (1, 2):
            batches = [
                [(writer, golden("checkpoint", session_id=i, revision=revision)) for i in order]
                for order in orders
            ]
            answers = in_threads([lambda b=batch: accept_many(b) for batch in batches])
            stored = [each.outcome for answer in answers for each in answer].count("stored")
            assert stored == len(ids)


@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite has one writer at a time")
def test_who_waits_for_a_lower_id_holds_no_higher_one(world):
    low, high = sorted((golden("started") for _ in "ab"), key=lambda each: each["session_id"])
    writer = Writer(world.anna, world.device)
    with ThreadPoolExecutor(1) as pool:
        with transaction.atomic():
            accept_many([(writer, low)])
            other = pool.submit(in_threads, [lambda: accept_many([(writer, high), (writer, low)])])
            wait_until_somebody_waits_for_a_lock()
            assert accept_many([(writer, high)])[0].outcome == "stored"
        ((first, second),) = other.result(60)
    assert (first.outcome, second.outcome) == ("duplicate", "duplicate")


@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite has one writer at a time")
@pytest.mark.parametrize("kind", ["sessions", "status"])
def test_consumers_that_hear_of_the_same_devices_never_wait_in_a_ring(world, kind):
    low, high = sorted([world.device.pk, world.other_device.pk])
    with ThreadPoolExecutor(1) as pool:
        with transaction.atomic():
            take([sent_by(low, "status")])
            other = pool.submit(
                in_threads, [lambda: take([sent_by(high, "status"), sent_by(low, kind)])]
            )
            wait_until_somebody_waits_for_a_lock()
            take([sent_by(high, "status")])
        other.result(60)
    assert Device.objects.filter(online=True, last_seen_at__isnull=False).count() == 2


def sent_by(device, kind):
    document = {"online": True} if kind == "status" else golden("started")
    return Message(f"blinklog/1/devices/{device}/{kind}", json.dumps(document).encode())


def wait_until_somebody_waits_for_a_lock():
    deadline = time.monotonic() + 20
    with connection.cursor() as cursor:
        while time.monotonic() < deadline:
            cursor.execute("SELECT 1 FROM pg_locks WHERE NOT granted")
            if cursor.fetchone():
                return
            time.sleep(0.02)
    pytest.fail("nobody waits")


def test_changes_without_a_revision_are_each_the_next_one(world):
    document = golden("started")
    accept_session(world.device, document)
    writer = Writer(world.anna, world.device)
    pk = uuid.UUID(document["session_id"])
    in_threads([lambda n=n: amend(writer, pk, {f"note_{n}": n}) for n in range(THREADS)])
    row = SessionData.objects.get()
    assert row.revision == 1 + THREADS
    assert {f"note_{n}" for n in range(THREADS)} <= row.document.keys()


SENDER = """
import json, sys, django
django.setup()
from django.db import connections
from server.devices.models import Device
from server.session_data.accept import accept_session
device = Device.objects.select_related("person").get(label="Kitchen")
for line in sys.stdin:
    print(accept_session(device, json.loads(line)).outcome)
"""


def database_url():
    """Of the test's own database, for another process."""
    if connection.vendor == "sqlite":
        return f"sqlite:///{connection.settings_dict['NAME']}"
    base = os.environ["DATABASE_URL"]
    return base.rpartition("/")[0] + "/" + connection.settings_dict["NAME"]


def test_processes_that_send_the_same_revisions_store_each_session_once(world):
    ids = [str(uuid.uuid4()) for _ in range(8)]
    documents = [
        golden("checkpoint" if revision < 5 else "final", session_id=i, revision=revision)
        for i in ids
        for revision in range(1, 6)
    ]
    environment = {
        **os.environ,
        "DATABASE_URL": database_url(),
        "DJANGO_SETTINGS_MODULE": "server.config.settings",
        "PYTHONPATH": str(Path(__file__).resolve().parents[3]),
    }
    senders = []
    for seed in range(3):
        random.Random(seed).shuffle(documents)
        sender = subprocess.Popen(
            [sys.executable, "-c", SENDER],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment,
            text=True,
        )
        senders.append((sender, "".join(json.dumps(d) + "\n" for d in documents)))
    with ThreadPoolExecutor(3) as pool:
        outputs = list(pool.map(lambda s: s[0].communicate(s[1], timeout=120)[0], senders))
    outcomes = [output.split() for output in outputs]
    assert [len(each) for each in outcomes] == [len(documents)] * 3
    assert "rejected" not in [outcome for each in outcomes for outcome in each]
    assert set(SessionData.objects.values_list("revision", "state")) == {(5, "ended")}
    assert SessionData.objects.count() == len(ids)
