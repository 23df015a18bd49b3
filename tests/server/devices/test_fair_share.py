"""No device is served so much that the others wait."""

import pytest

from server.devices import fair_share
from server.devices.fair_share import DeviceThrottle, FairShare
from server.session_data.models import SessionData
from tests.server.conftest import golden


class Clock:
    now_s = 1000.0

    def __call__(self):
        return self.now_s


@pytest.fixture
def clock():
    return Clock()


def taken(share, sender, tries=1000, size=0):
    return sum(share.take(sender, size) == 0 for _ in range(tries))


def test_so_many_at_once_and_then_so_many_a_second(clock):
    share = FairShare(10, 50, clock)
    assert taken(share, "a") == 50
    clock.now_s += 1
    assert taken(share, "a") == 10
    clock.now_s += 3600
    assert taken(share, "a") == 50


def test_one_device_takes_nothing_from_another(clock):
    share = FairShare(10, 50, clock)
    taken(share, "a")
    assert taken(share, "b") == 50


def test_a_large_document_counts_as_several_and_the_largest_can_be_had(clock):
    share = FairShare(10, 50, clock)
    assert taken(share, "a", size=150_000) == 50 // 3
    assert taken(share, "b", size=1 << 40) == 50 // 17


def test_who_waits_as_long_as_it_is_told_may_send(clock):
    share = FairShare(10, 50, clock)
    taken(share, "a")
    wait_s = share.take("a")
    assert wait_s > 0
    clock.now_s += wait_s + 1e-6
    assert share.take("a") == 0


def test_memory_is_bounded_and_whoever_is_quiet_is_forgotten_first(clock, monkeypatch):
    monkeypatch.setattr(fair_share, "MOST_KNOWN", 100)
    share = FairShare(10, 50, clock)
    for number in range(90):
        share.take(number)
    clock.now_s += 10
    taken(share, "flood")
    for number in range(1000, 1020):
        share.take(number)
    assert len(share._paid_until_s) <= 100
    assert taken(share, "flood") == 0


def test_over_http_a_flood_is_told_when_to_come_back_and_others_go_on(api, world, monkeypatch):
    clock = Clock()
    monkeypatch.setattr(DeviceThrottle, "share", FairShare(0.5, 5, clock))
    path = "/api/session/start/"
    answers = [api("device")("POST", path, golden("started")) for _ in range(7)]
    assert [answer.status_code for answer in answers] == [201] * 5 + [429] * 2
    wait_s = int(answers[-1]["Retry-After"])
    assert "outcome" not in answers[-1].json()  # not refused for good
    assert api("other device")("POST", path, golden("started")).status_code == 201
    assert all(api("anna").get("/api/people/").status_code == 200 for _ in range(10))
    clock.now_s += wait_s
    assert api("device")("POST", path, golden("started")).status_code == 201
    assert SessionData.objects.count() == 7


def test_what_claims_to_be_endless_is_too_large_and_not_too_much(api):
    answer = api("device").client.post(
        "/api/session/start/", b"{}", content_type="application/json", CONTENT_LENGTH=str(1 << 50)
    )
    assert answer.status_code == 413
