"""How far a replica is, told by positions in the log alone, and what is read from it."""

import pytest
from django.db import DataError, OperationalError

from server.care.models import Person
from server.replica import lag, reading
from server.replica.lag import PRIMARY, REPLICA, Replica
from server.replica.models import LastWrite
from tests.server.config.test_site import settings_of

SYSTEM = 7


class Log:
    """The log's positions on both sides, and a clock."""

    def __init__(self):
        self.written, self.replayed = 100, 100
        self.of_system = SYSTEM
        self.is_away = False
        self.now_s = 1000.0

    def position(self, alias, _query):
        if alias == PRIMARY:
            return self.written, SYSTEM
        if self.is_away:
            raise OperationalError("connection refused\nis it running?")
        return self.replayed and (self.replayed, self.of_system)

    def monotonic(self):
        return self.now_s


@pytest.fixture
def log(monkeypatch, settings):
    settings.REPLICA_LAG_S = 5
    log = Log()
    monkeypatch.setattr(lag, "_position", log.position)
    monkeypatch.setattr(lag, "time", log)
    monkeypatch.setattr(lag, "connections", {REPLICA: type("Connection", (), {"close": int})})
    return log


def after(log, replica, seconds):
    log.now_s += seconds
    return replica.state()


def test_a_replica_that_has_everything_does_not_lag_however_long_nothing_is_written(log):
    replica = Replica()
    assert replica.state().state == "ok"
    found = after(log, replica, 3600)
    assert (found.state, found.lag_s) == ("ok", 0)


def test_a_replica_that_is_always_a_bit_behind_is_good_enough(log):
    replica = Replica()
    replica.state()
    for _ in range(20):
        log.written, log.replayed = log.written + 10, log.written - 1
        found = after(log, replica, 1)
        assert found.state == "ok"
    assert 1 <= found.lag_s <= 3


def test_a_replica_that_stops_replaying_lags_more_and_more_until_it_goes_on(log):
    replica = Replica()
    replica.state()
    log.written = 200
    assert [after(log, replica, 2).state for _ in range(4)] == ["ok", "ok", "lagging", "lagging"]
    assert replica.state().lag_s == 8
    log.replayed = 200
    assert after(log, replica, 1).state == "ok"


def test_a_replica_that_is_away_is_left_alone_for_a_while(log, caplog):
    replica = Replica()
    log.is_away = True
    assert replica.state() == lag.State("away", None)
    log.is_away = False
    assert after(log, replica, lag.RETRY_S - 1).state == "away"
    assert after(log, replica, 2).state == "ok"
    assert caplog.messages == ["reading from the primary: the replica failed: connection refused"]


@pytest.mark.parametrize("change", [{"replayed": None}, {"of_system": 8}])
def test_a_promoted_or_another_database_is_no_replica(log, change):
    vars(log).update(change)
    assert Replica().state().state == "away"


# What is read from it


@pytest.fixture
def replica(log, monkeypatch, settings):
    found = Replica()
    monkeypatch.setattr(reading, "THE_REPLICA", found)
    monkeypatch.setattr(reading, "is_configured", lambda: True)
    return found


def where(*people):
    return reading.from_replica(people, lambda: reading.Router().db_for_read(Person))


def wrote(person, lsn, moment):
    LastWrite.objects.create(person=person, lsn=lsn, at=moment)


def test_what_a_person_or_the_reader_has_just_written_is_read_from_the_primary(
    world, log, replica, monkeypatch
):
    from django.utils.timezone import now

    assert where(world.anna) == REPLICA
    log.written = 200
    wrote(world.anna, 150, now())
    assert where(world.anna) == where(world.carl, world.anna) == PRIMARY
    assert where(world.carl) == REPLICA
    log.replayed = 150  # and a look is due at once, for somebody waits
    assert where(world.anna) == where(world.carl, world.anna) == REPLICA


def test_a_write_of_long_ago_keeps_nobody_from_the_replica(world, replica):
    from datetime import timedelta

    from django.utils.timezone import now

    wrote(world.anna, 10**15, now() - timedelta(minutes=1))  # a backup of another cluster
    assert where(world.anna) == REPLICA


def test_a_query_that_fails_on_the_replica_is_run_on_the_primary(world, replica):
    tried = []

    def query():
        tried.append(reading.Router().db_for_read(Person))
        if tried[-1] == REPLICA:
            raise OperationalError("canceling statement due to conflict with recovery")
        return "found"

    assert reading.from_replica([world.anna], query) == "found"
    assert tried == [REPLICA, PRIMARY]
    assert where(world.anna) == PRIMARY  # for a while
    assert not reading.is_on_replica()


def test_a_query_that_is_wrong_costs_nobody_else_the_replica(world, replica):
    def query():
        raise DataError("invalid input")

    with pytest.raises(DataError):
        reading.from_replica([world.anna], query)
    assert where(world.anna) == REPLICA


def test_writes_and_migrations_are_the_primarys():
    router = reading.Router()
    assert router.db_for_write(Person) == PRIMARY
    assert (router.allow_migrate(PRIMARY, "care"), router.allow_migrate(REPLICA, "care")) == (
        True,
        False,
    )


POSTGRES = "postgres://u:hunter2@127.0.0.1/name"


@pytest.mark.parametrize(
    ("url", "replica_url", "named"),
    [
        ("sqlite:///x", POSTGRES, "DATABASE_URL"),
        (POSTGRES, "sqlite:///x", "BLINKLOG_REPLICA_URL"),
        (POSTGRES, "hunter2://x", "BLINKLOG_REPLICA_URL"),
    ],
)
def test_only_postgresql_has_a_replica(url, replica_url, named):
    environment = {"DATABASE_URL": url, "BLINKLOG_REPLICA_URL": replica_url}
    done = settings_of("from django.conf import settings; settings.DATABASES", **environment)
    last = done.stderr.splitlines()[-1]
    assert f"{named}: expected postgres://user:password@host/name" in last
    assert "hunter2" not in done.stderr
