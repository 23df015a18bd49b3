"""Much at once does no harm: a backlog of weeks, and a fleet that comes back together."""

import random
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pytest

from agent.errors import DeliveryError
from agent.sync import Backoff, Sync
from agent.transport.base import Acknowledgement
from tests.broker import needs_mosquitto
from tests.faults.harness import Site
from tests.faults.load import drain

FLEET = 50
BACKLOG = 1000
GROWTH_MB = 25.0  # all of the backlog's documents in memory would be three times as much


@pytest.mark.slow
@pytest.mark.needs_broker
@needs_mosquitto
@pytest.mark.parametrize("way", ["mqtt", "http"])
def test_a_backlog_drains_in_bounded_memory_and_shows_how_far_it_is(
    way: str, tmp_path: Path
) -> None:
    with Site(tmp_path / "site", ways=(way,)) as site:
        drained = drain(site, BACKLOG, bound_s=90)
        tally = site.tally()
    assert tally.clean, tally
    assert tally.sessions == BACKLOG
    for idle, peak in (drained.sync_mb, drained.consumer_mb):
        assert peak - idle < GROWTH_MB
    assert drained.said


@pytest.mark.parametrize("outage_s", [20.0, 600.0, 7200.0])
def test_a_fleet_that_lost_its_server_together_does_not_come_back_together(outage_s: float) -> None:
    clock = Clock()
    fleet = [Lonely(clock, random.Random(f"{outage_s} {n}")) for n in range(FLEET)]
    while clock.now_s < outage_s or any(each.attempts[-1] < outage_s for each in fleet):
        for each in fleet:
            each.sync._step()
        clock.now_s += 0.25
    returns = [next(at for at in each.attempts if at >= outage_s) for each in fleet]
    together = max(Counter(int(at) for at in returns).values())
    assert together <= FLEET / 3, "a third of them in the same second, at the worst"
    before = Counter(int(at) for each in fleet for at in each.attempts if 10 < at < outage_s)
    assert max(before.values(), default=0) <= FLEET / 3


class Clock:
    """Time that passes when told to."""

    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


class Lonely:
    """A device with one session to deliver, and a server that never answers."""

    name = "http"
    ask_s = None
    at_once = 8
    listening = False

    def __init__(self, clock: Clock, chance: random.Random) -> None:
        self.attempts: list[float] = []
        self._clock = clock
        self.sync = Sync(
            _OneSession(), [self], clock=clock, backoff=lambda: Backoff(clock, chance.uniform)
        )

    def deliver(self, documents: Sequence[Any], timeout_s: float) -> Iterable[Acknowledgement]:
        self.attempts.append(self._clock())
        raise DeliveryError("can't be reached")

    def settings(self) -> None:
        return None

    def commands(self) -> list[Any]:
        return []

    def close(self) -> None:
        """Nothing to close."""


class _OneSession:
    """As much of a store as delivery needs."""

    _document = {"session_id": "a", "revision": 1}

    def pending(self, limit: int, skip: Iterable[tuple[str, int]] = ()) -> list[Any]:
        return [] if ("a", 1) in skip else [self._document]

    def acknowledge(self, session_id: str, revision: int) -> bool:
        return True

    def park(self, session_id: str, revision: int, reason: str) -> bool:
        return True

    def add_command(self, command: Any, left_s: float = 30.0) -> bool:
        return True

    def note(self, key: str, value: Any) -> None:
        """Nobody reads it."""

    def noted(self, key: str) -> Any:
        return None

    def counts(self) -> dict[str, int]:
        return {"pending": 1}

    def data_version(self) -> object:
        return 0
