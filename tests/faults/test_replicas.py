"""Several servers and consumers share one PostgreSQL: when one of them dies, the others go on."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.broker import needs_mosquitto
from tests.faults.harness import Site
from tests.faults.launcher import until
from tests.postgres import Postgres, needs_postgres

DEVICES, SOME = 3, 20


@pytest.fixture
def postgres() -> Iterator[Postgres]:
    cluster = Postgres()
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.remove()


@pytest.mark.slow
@pytest.mark.needs_broker
@pytest.mark.needs_postgres
@needs_mosquitto
@needs_postgres
@pytest.mark.parametrize("way", ["mqtt", "http"])
def test_a_server_and_a_consumer_that_die_and_stay_dead_cost_nothing(
    way: str, tmp_path: Path, postgres: Postgres
) -> None:
    with Site(tmp_path / "site", ways=(way,), devices=DEVICES, database=postgres.url) as site:
        for replica in site.replicas:
            replica.start()
        site.start()
        until(lambda: _delivered(site) > SOME, "sessions are delivered")
        for replica in site.replicas:
            replica.kill()
        until(lambda: _delivered(site) > 3 * SOME, "sessions are delivered without them")
        site.settle(restart=False)
        tally = site.tally()
    assert tally.clean, tally
    assert tally.sessions > 3 * SOME


def _delivered(site: Site) -> int:
    return sum(device.counts()["delivered"] for device in site.devices)
