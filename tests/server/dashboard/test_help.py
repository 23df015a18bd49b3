"""The help page: what every number means, and what to do about a device that is not connected."""

import re
from datetime import timedelta

import pytest
from django.contrib.staticfiles import finders
from django.test import Client
from django.utils import timezone

from server.dashboard.metrics import METRICS
from server.devices.models import Device
from tests.server.dashboard.browsing import measured, words_of

SILENT = "Kitchen (anna) is not connected: what to do"


@pytest.mark.django_db
@pytest.mark.parametrize("language", ["en", "de"])
def test_whoever_needs_help_gets_it_from_every_page_without_logging_in(language):
    german = {"Accept-Language": language}
    page = Client().get("/help/", headers=german)
    ids = set(re.findall(r'id="([^"]+)"', page.content.decode()))
    assert {"not-connected", "usual", *(metric.key for metric in METRICS)} <= ids
    shown = words_of(page)
    assert all(str(metric.key) in shown for metric in METRICS)
    assert 'href="/help/"' in Client().get("/login/").content.decode()
    assert 'href="/help/"' in Client().get("/nowhere/").content.decode()


@pytest.mark.django_db
def test_the_lights_of_the_steps_are_there():
    for name in re.findall(r'src="/static/([^"]+svg)"', Client().get("/help/").content.decode()):
        assert finders.find(name), name


def test_every_number_of_a_page_leads_to_its_definition(world, browser):
    session = measured(world.device, ago=timedelta(hours=1))
    defined = {metric.key for metric in METRICS}
    for address in ("/people/anna/", f"/sessions/{session}/"):
        page = browser("carl").get(address).content.decode()
        linked = set(re.findall(r'href="/help/#([^"]+)"', page)) - {"usual", "not-connected"}
        assert linked
        assert linked <= defined


@pytest.mark.parametrize("online", [True, False, None])
def test_a_page_says_what_to_do_about_a_silent_device_only(world, browser, online):
    now = timezone.now()
    Device.objects.filter(pk=world.device.pk).update(online=online, last_seen_at=now, status_at=now)
    page = words_of(browser("carl").get("/people/anna/"))
    assert (SILENT in page) == (online is False)
    assert ("Unplug it" in page) == (online is False)


def test_the_help_names_the_silent_device_and_its_person_to_who_may_see_them(world, browser):
    Device.objects.filter(pk=world.device.pk).update(online=False, last_seen_at=timezone.now())
    address = f"/help/?device={world.device.pk}"
    named = f"{world.device.label}, the device of {world.anna.label}, is not connected."
    assert address in browser("carl").get("/").content.decode()
    assert named in words_of(browser("carl").get(address))
    for client in (browser("otto"), Client()):
        assert "the device of" not in words_of(client.get(address))
    assert "the device of" not in words_of(browser("carl").get("/help/?device=x"))
    Device.objects.filter(pk=world.device.pk).update(online=True)
    assert "the device of" not in words_of(browser("carl").get(address))
