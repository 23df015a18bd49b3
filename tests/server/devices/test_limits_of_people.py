"""People's requests have a limit that no honest page or script meets, and so have their devices."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from django.db import connection
from django.test import Client
from django.utils.timezone import now

from server.devices import fair_share
from server.devices.claim import make_code
from server.devices.credentials import WHILE
from server.devices.fair_share import CHANGES_AT_ONCE, FairShare
from server.devices.models import ClaimCode, Device
from tests.server.conftest import Api, make_world

START, CLAIM = "/api/session/start/", "/api/device/claim/"


def test_one_person_starts_no_hundreds_of_sessions_at_once(world):
    anna = Api(world.tokens["anna"])
    answers = [anna("POST", START, {}) for _ in range(CHANGES_AT_ONCE + 100)]
    refused = [each for each in answers if each.status_code == 429]
    assert refused
    assert {each.status_code for each in answers} == {201, 429}
    assert int(refused[0]["Retry-After"]) > 0
    assert anna.get("/api/people/").status_code == 200  # reading goes on
    assert Api(world.tokens["otto"])("POST", START, {}).status_code == 201


def test_pages_and_api_share_one_limit(world, monkeypatch):
    monkeypatch.setattr(fair_share.REQUESTS, "_each_s", 600)  # one in ten minutes
    monkeypatch.setattr(fair_share.REQUESTS, "_most_s", 600 * 20.5)
    browser, api = Client(), Api(world.tokens["anna"])
    browser.force_login(world.anna)
    assert {browser.get("/devices/").status_code for _ in range(10)} == {200}
    assert {api.get("/api/people/").status_code for _ in range(10)} == {200}
    answer = browser.get("/devices/")
    assert (answer.status_code, "Retry-After" in answer) == (429, True)
    assert "Too many requests" in answer.content.decode()
    assert browser.get("/api/people/").status_code == 429
    assert api.get("/api/people/").status_code == 429
    assert Client().get("/login/").status_code == 200


def test_changes_on_pages_have_the_limit_of_changes(world, monkeypatch):
    monkeypatch.setattr(fair_share, "CHANGES", FairShare(0.001, 3))
    browser = Client()
    browser.force_login(world.anna)
    statuses = [browser.post("/people/none/").status_code for _ in range(4)]
    assert statuses[-1] == 429
    assert 429 not in statuses[:3]
    assert Api(world.tokens["anna"])("POST", START, {}).status_code == 429
    assert browser.get("/devices/").status_code == 200


def test_a_change_counts_as_a_request_too(world, monkeypatch):
    monkeypatch.setattr(fair_share, "REQUESTS", FairShare(0.001, 3))
    anna = Api(world.tokens["anna"])
    assert [anna("POST", START, {}).status_code for _ in range(4)] == [201, 201, 201, 429]
    assert anna.get("/api/people/").status_code == 429
    assert Api(world.tokens["otto"]).get("/api/people/").status_code == 200


def test_requests_of_a_device_take_nothing_from_its_person(world, monkeypatch):
    monkeypatch.setattr(fair_share, "REQUESTS", FairShare(0.001, 1))
    device = Api(world.tokens["device"])
    assert {device("OPTIONS", START).status_code for _ in range(3)} == {200}
    assert Api(world.tokens["anna"]).get("/api/people/").status_code == 200


def test_a_device_that_asks_every_second_meets_no_limit(world):
    api = Api(world.tokens["device"])
    assert {api("OPTIONS", START).status_code for _ in range(120)} == {200}


def claimed(code):
    return Api()("POST", CLAIM, {"code": code}).status_code


def test_a_person_has_so_many_devices(world, settings):
    settings.DEVICES_PER_PERSON = 3
    codes = [make_code(world.anna, f"New {n}", world.anna)[1] for n in range(4)]
    assert [claimed(code) for code in codes] == [201, 201, 400, 400]
    body = {"label": "One more"}
    answer = Api(world.tokens["anna"])("POST", "/api/device/claim-codes/", body)
    assert answer.status_code == 400
    assert "3 devices" in answer.json()["detail"]
    # Blocking devices makes no room for another dozen on the same day.
    Device.objects.filter(person=world.anna).update(revoked_at=now())
    assert claimed(codes[2]) == 400
    Device.objects.filter(person=world.anna).update(created_at=now() - WHILE)
    assert claimed(codes[2]) == 201
    assert claimed(make_code(world.otto, "Other", world.otto)[1]) == 201


@pytest.mark.django_db(transaction=True)
def test_claims_at_the_same_moment_make_no_more_devices(transactional_db, settings):
    settings.DEVICES_PER_PERSON = 4
    world = make_world()
    codes = [make_code(world.anna, f"New {n}", world.anna)[1] for n in range(ClaimCode.MOST_LIVE)]
    together = Barrier(len(codes))

    def claim(code):
        try:
            together.wait(30)
            return claimed(code)
        finally:
            connection.close()

    with ThreadPoolExecutor(len(codes)) as pool:
        statuses = list(pool.map(claim, codes))
    assert Device.objects.filter(person=world.anna).count() <= 4
    assert statuses.count(201) == 3
