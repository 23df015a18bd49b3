"""Networks that drop, delay, cut and lie, on either way or both, while sessions are being made."""

import random

import pytest

from tests.broker import needs_mosquitto
from tests.faults.attacks import (
    ANSWERS,
    NETWORKS,
    WAYS,
    alternate,
    trouble,
    trouble_without_broker,
)
from tests.faults.harness import Site

pytestmark = [pytest.mark.needs_broker, needs_mosquitto]


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("ways", [WAYS, ("mqtt",), ("http",)], ids="+".join)
def test_a_bad_network_costs_time_and_nothing_else(
    site: Site, name: str, ways: tuple[str, ...]
) -> None:
    site.start()
    if "mqtt" in ways:
        trouble(site, NETWORKS[name], ways, 1.0)
    else:  # HTTP is used only where the broker can't be reached
        trouble_without_broker(site, NETWORKS[name], 1.0)
    settled(site)


@pytest.mark.parametrize("name", ANSWERS)
def test_what_is_no_acknowledgement_is_taken_for_none(site: Site, name: str) -> None:
    before = len(site.history())
    site.device.sync.kill()
    site.feed(2)
    site.start(watch=False)
    trouble_without_broker(site, ANSWERS[name], 1.0)
    settled(site)
    assert len(site.history()) == before + 2


def test_ways_that_work_by_turns_deliver_everything_once(site: Site, chance: random.Random) -> None:
    site.start()
    for _ in range(3):
        alternate(site, chance)
    settled(site)


def settled(site: Site) -> None:
    site.settle()
    tally = site.tally()
    assert tally.clean, tally
    assert tally.sessions
