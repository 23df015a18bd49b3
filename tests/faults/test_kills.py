"""kill -9 of every process, at random moments and at the worst ones: each session that the device's
store has taken is in the history once, with its final metrics."""

import random
from pathlib import Path

import pytest

from tests.broker import needs_mosquitto
from tests.faults.attacks import EVERYTHING, broker_dies_after_puback, die_at, storm
from tests.faults.crash_points import POINTS
from tests.faults.harness import BOTH, Site

pytestmark = [pytest.mark.needs_broker, needs_mosquitto]


@pytest.mark.parametrize(
    ("ways", "kills"),
    [
        pytest.param(BOTH, 150, id="both ways"),
        pytest.param(("mqtt",), 100, marks=pytest.mark.slow, id="mqtt alone"),
        pytest.param(("http",), 80, marks=pytest.mark.slow, id="http alone"),
    ],
)
def test_kills_at_random_moments_lose_double_and_spoil_nothing(
    ways: tuple[str, ...], kills: int, tmp_path: Path, chance: random.Random
) -> None:
    victims = [name for name in EVERYTHING if "mqtt" in ways or name not in ("broker", "consumer")]
    with Site(tmp_path / "site", ways=ways) as site:
        site.start()
        storm(site, chance, kills, victims, sessions=kills // 10)
        site.settle()
        tally = site.tally()
    assert tally.clean, tally
    assert tally.sessions >= kills // 10


@pytest.mark.parametrize("point", POINTS)
@pytest.mark.parametrize("passes", [0, 2])
def test_a_death_at_the_worst_point_costs_nothing(site: Site, point: str, passes: int) -> None:
    die_at(site, point, passes)
    site.settle()
    tally = site.tally()
    assert tally.clean, tally
    assert tally.sessions


def test_a_broker_killed_after_its_puback_and_before_the_server_has_read_costs_nothing(
    site: Site,
) -> None:
    broker_dies_after_puback(site)
    site.settle()
    tally = site.tally()
    assert tally.clean, tally
    assert tally.sessions == 2
