"""The attacks themselves do what they say, on a machine of any speed."""

import threading
import time

import pytest

from tests.broker import needs_mosquitto
from tests.faults.attacks import die_at, packets, trouble
from tests.faults.harness import Site
from tests.faults.launcher import until
from tests.faults.proxy import Harm

QUIET_S = 3.0  # longer than one session takes to make


@pytest.mark.needs_broker
@needs_mosquitto
def test_a_crash_point_is_reached_however_late_the_consumer_starts(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    start = site.consumer.start

    def start_late(dies: tuple[str, int] | None = None) -> None:
        start(dies)
        if dies is not None:
            site.consumer.pause()
            threading.Thread(target=_resume_once_waited_for, args=(site,), daemon=True).start()

    monkeypatch.setattr(site.consumer, "start", start_late)
    die_at(site, "consumer: killed after writing, before the commit", 1)
    site.settle()
    assert site.tally().clean


def _resume_once_waited_for(site: Site) -> None:
    """Resume the consumer once nobody makes sessions any more."""
    made = -1
    while made != (made := site.device.counts()["sessions"]):
        time.sleep(QUIET_S)
    site.consumer.resume()


@pytest.mark.needs_broker
@needs_mosquitto
def test_a_fault_of_the_network_lasts_until_something_has_met_it(site: Site) -> None:
    device = site.device
    device.sync.kill()
    site.feed(1)
    before = device.mqtt.connections + device.http.connections
    late = threading.Timer(1.0, device.sync.start)
    late.start()
    trouble(site, Harm(drop=True), ("mqtt", "http"), seconds=0)
    assert device.mqtt.connections + device.http.connections > before
    late.join()
    site.settle()
    assert site.tally().clean


@pytest.mark.needs_broker
@needs_mosquitto
def test_sessions_are_never_made_beside_a_running_watch(site: Site) -> None:
    site.start()
    until(lambda: site.device.counts()["pending"], "watch makes sessions")
    site.feed(1)
    assert not site.device.watch.alive()
    site.settle()
    assert site.tally().clean


def test_packets_are_told_apart_in_whatever_pieces_they_come() -> None:
    suback, puback, ping = b"\x90\x04\x00\x01\x00\x01", b"\x40\x02\x00\x07", b"\xd0\x00"
    message = b"\x32\xac\x02" + b"@" * 300
    said = suback + message + puback + ping
    kinds = [0x90, 0x32, 0x40, 0xD0]
    for size in (1, 2, 7, len(said)):
        pieces = [said[at : at + size] for at in range(0, len(said), size)]
        assert packets(pieces) == kinds
    assert packets([message]) == [0x32], "a byte of the content is no packet"
