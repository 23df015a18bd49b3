"""Changes that are committed at the same time: none is missed by a client that keeps a copy."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection, transaction

from server.session_data.accept import accept_session
from server.session_data.models import SessionData
from tests.server.conftest import Api, golden, make_world
from tests.server.session_data.changes.test_changes_since import Copy, delete, stored
from tests.server.session_data.test_accept_races import wait_until_somebody_waits_for_a_lock


@pytest.mark.django_db(transaction=True)
@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite has one writer at a time")
def test_a_change_that_is_committed_late_is_told_all_the_same(transactional_db):
    world = make_world()
    copy = Copy(Api(world.tokens["anna"]))
    copy.catch_up()
    begun, go_on = threading.Event(), threading.Event()

    def in_one_transaction(wait):
        try:
            with transaction.atomic():
                session_id = stored(world)
                if wait:
                    begun.set()
                    assert go_on.wait(30)
            return session_id
        finally:
            connection.close()

    with ThreadPoolExecutor(2) as pool:
        slow = pool.submit(in_one_transaction, True)
        assert begun.wait(30)
        quick = pool.submit(in_one_transaction, False)
        wait_until_somebody_waits_for_a_lock()
        assert copy.catch_up() == []
        go_on.set()
        ids = [slow.result(30), quick.result(30)]
    assert copy.catch_up() == [("session", each) for each in ids]


@pytest.mark.django_db(transaction=True)
def test_a_client_that_asks_all_the_time_misses_nothing_of_many_writers(transactional_db):
    world = make_world()
    copy = Copy(Api(world.tokens["anna"]), limit=3)
    done = threading.Event()

    def write():
        try:
            ids = [stored(world, "started") for _ in range(8)]
            for session_id in ids[::2]:
                accept_session(world.device, golden("final", session_id=session_id))
            delete(world, ids[1])
        finally:
            connection.close()

    def read():
        try:
            while not done.is_set():
                copy.catch_up()
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as pool:
        reader = pool.submit(read)
        for writer in [pool.submit(write) for _ in range(3)]:
            writer.result(60)
        done.set()
        reader.result(60)
    copy.catch_up()
    rows = SessionData.objects.values_list("pk", "revision")
    assert copy.sessions == {str(pk): revision for pk, revision in rows}
    assert len(copy.sessions) == 3 * 7
