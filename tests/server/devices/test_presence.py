"""A device is shown as connected while it says so again and again, and everywhere alike."""

import json
from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from server.devices.models import HEARD_WITHIN, Device
from server.devices.presence import note_status
from server.home_assistant.models import Shown
from server.home_assistant.state import shown_devices, states

SOON = HEARD_WITHIN - timedelta(minutes=1)
LATE = HEARD_WITHIN + timedelta(minutes=1)


def said(device, *, ago, online=True):
    """The broker's last word on it, and how long ago the device itself spoke."""
    seen = None if ago is None else timezone.now() - ago
    Device.objects.filter(pk=device.pk).update(online=online, last_seen_at=seen)
    device.refresh_from_db()


@pytest.mark.parametrize(
    ("online", "ago", "there"),
    [
        (True, SOON, True),
        (True, LATE, False),
        (True, None, False),
        (False, SOON, False),
        (None, SOON, None),
    ],
    ids=str,
)
def test_a_device_is_there_while_it_says_so_again_and_again(world, online, ago, there):
    said(world.device, online=online, ago=ago)
    assert world.device.is_online is there


@pytest.mark.parametrize(
    ("ago", "there", "words"), [(SOON, True, ">connected"), (LATE, False, ">not connected")]
)
def test_it_is_told_alike_everywhere(world, api, settings, ago, there, words):
    said(world.device, ago=ago)
    assert api("anna").get(f"/api/device/{world.device.pk}/").json()["online"] is there
    browser = Client()
    browser.force_login(world.anna)
    for address in ("/", "/devices/", f"/devices/{world.device.pk}/"):
        assert words in browser.get(address).content.decode(), address
    row = Shown.objects.create(device_id=world.device.pk, person_pk=world.anna.pk)
    found = states(shown_devices([row]), timezone.now())
    assert found[world.device.pk]["online"] == ("on" if there else "off")
    settings.METRICS_TOKEN = "a token of some length"
    headers = {"Authorization": f"Bearer {settings.METRICS_TOKEN}"}
    numbers = Client(headers=headers).get("/metrics").content.decode()
    for state, count in (("online", there), ("silent", not there), ("never", True)):
        assert f'blinklog_devices{{state="{state}"}} {float(count)}' in numbers


def test_a_retained_status_moves_no_time(world):
    note_status(world.device, b'{"online": true}', retained=False)
    world.device.refresh_from_db()
    before = world.device.status_at, world.device.last_seen_at
    assert None not in before
    for online in (b"true", b"false", b"false"):
        note_status(world.device, b'{"online": %s}' % online, retained=True)
        world.device.refresh_from_db()
        assert (world.device.status_at, world.device.last_seen_at) == before
    assert world.device.online is False


def heard(world, connection, online, *, retained=False):
    told = {"online": online, "connection": connection}
    note_status(world.device, json.dumps(told).encode(), retained=retained)
    world.device.refresh_from_db()
    return world.device.online


def test_what_a_slow_consumer_says_late_does_not_hide_what_is_newer(world):
    assert heard(world, "first", online=True) is True
    assert heard(world, "first", online=False) is False
    seen = world.device.last_seen_at, world.device.status_at
    assert heard(world, "first", online=True) is False
    assert (world.device.last_seen_at, world.device.status_at) == seen
    assert heard(world, "second", online=True) is True
    assert heard(world, "first", online=False) is True
    assert heard(world, "first", online=True, retained=True) is True
    assert world.device.connection == "second"
    assert heard(world, "second", online=False) is False


def test_a_connection_that_came_and_went_while_no_consumer_ran_has_ended(world):
    heard(world, "first", online=True)
    assert heard(world, "second", online=False, retained=True) is False


@pytest.mark.parametrize("odd", [7, "", "x" * 33, "\x00", None])
def test_a_status_without_a_sensible_connection_counts_as_it_comes(world, odd):
    assert heard(world, odd, online=True) is True
    assert heard(world, odd, online=False) is False
    assert heard(world, odd, online=True) is True
