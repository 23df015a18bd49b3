"""kill -9 of every process, at random moments and at the worst ones: each session that the device's
store has taken is in the history once, with its final metrics."""

import random
from pathlib import Path

import pytest

from tests.broker import needs_mosquitto
from tests.faults.crash_points import POINTS
from tests.faults.harness import BOTH, Site, storm
from tests.faults.launcher import until
from tests.faults.proxy import Harm

pytestmark = [pytest.mark.needs_broker, needs_mosquitto]

EVERYTHING = ("broker", "server", "consumer", "sync", "watch")
PUBACK = 0x40  # MQTT 5, section 2.1.2: the first byte of a PUBACK


@pytest.mark.slow
@pytest.mark.parametrize(
    ("ways", "kills"),
    [(BOTH, 120), (("mqtt",), 80), (("http",), 60)],
    ids=["both ways", "mqtt alone", "http alone"],
)
def test_kills_at_random_moments_lose_double_and_spoil_nothing(
    ways: tuple[str, ...], kills: int, tmp_path: Path, chance: random.Random
) -> None:
    victims = [name for name in EVERYTHING if "mqtt" in ways or name not in ("broker", "consumer")]
    with Site(tmp_path / "site", ways=ways) as site:
        site.start()
        storm(site, chance, kills, victims)
        site.settle()
        tally = site.tally()
    assert tally.clean, tally
    assert tally.sessions >= kills // 10


@pytest.mark.parametrize("point", POINTS)
@pytest.mark.parametrize("passes", [0, 2])
def test_a_death_at_the_worst_point_costs_nothing(site: Site, point: str, passes: int) -> None:
    part = site.parts()[point.partition(":")[0]]
    if point.startswith("server"):
        site.device.mqtt.harm = Harm(refuse=True)
    if point.startswith("consumer"):
        site.device.http.harm = Harm(refuse=True)
    part.start(dies=(point, passes))  # type: ignore[call-arg]
    for _ in range(100):
        site.feed(1)
        if not part.alive():
            break
    assert not part.alive(), "it passes this point"
    site.settle()
    tally = site.tally()
    assert tally.clean, tally
    assert tally.sessions


def test_a_broker_killed_after_its_puback_and_before_the_server_has_read_costs_nothing(
    site: Site,
) -> None:
    site.device.http.harm = Harm(refuse=True)
    site.feed(1)
    until(site.all_delivered, "the consumer listens")
    before = site.history()
    site.consumer.pause()
    site.device.mqtt.answers.clear()
    site.feed(1)
    until(lambda: PUBACK in {said[0] for said in site.device.mqtt.answers}, "the broker's PUBACK")
    site.broker.kill()
    site.consumer.kill()
    assert site.history() == before, "the server has not read it"
    assert not site.all_delivered(), "and the device does not believe that it has"
    site.settle()
    tally = site.tally()
    assert tally.clean, tally
    assert tally.sessions == 2
