"""The time zone of an account: proposed, shown and chosen from a list."""

import re

import pytest
from django.test import Client

from server.care.models import Person
from server.common.days import validate_timezone, zone_choices, zone_names
from tests.server.conftest import PASSWORD

ACCOUNT = {"first_name": "", "last_name": "", "language": "en"}


@pytest.fixture
def anna(world) -> Client:
    client = Client()
    client.force_login(world.anna)
    return client


def zone_of_anna() -> str:
    return Person.objects.get(username="anna").timezone


def test_every_zone_of_the_list_can_be_saved():
    assert "Europe/Berlin" in zone_names()
    for name in zone_names():
        validate_timezone(name)


def test_a_zone_from_before_that_is_not_in_the_list_stays(world, anna):
    Person.objects.filter(username="anna").update(timezone="CET")
    assert zone_choices("CET")[0] == ("CET", "CET")
    assert anna.post("/account/", ACCOUNT | {"timezone": "CET"}).status_code == 302
    assert zone_of_anna() == "CET"


def test_who_signs_up_chooses_a_zone_that_the_browser_proposes(db, settings):
    settings.SIGN_UP = "open"
    browser = Client()
    assert "data-browser-zone" in browser.get("/sign-up/").content.decode()
    fields = {"username": "nora", "password": PASSWORD, "again": PASSWORD}
    assert browser.post("/sign-up/", fields | {"timezone": "Mars/Base"}).status_code == 200
    browser.post("/sign-up/", fields | {"timezone": "Asia/Tokyo"})
    assert Person.objects.get().timezone == "Asia/Tokyo"


def test_an_account_in_utc_is_offered_the_browsers_zone_with_one_click(world, anna):
    assert "data-zone-note" not in anna.get("/").content.decode()
    Person.objects.filter(username="anna").update(timezone="UTC")
    assert "data-zone-note" in anna.get("/").content.decode()
    answer = anna.post("/account/zone/", {"timezone": "Europe/Rome", "next": "/devices/"})
    assert (answer.headers["Location"], zone_of_anna()) == ("/devices/", "Europe/Rome")
    elsewhere = {"timezone": "Mars", "next": "https://example.org/"}
    answer = anna.post("/account/zone/", elsewhere)
    assert (answer.headers["Location"], zone_of_anna()) == ("/account/", "Europe/Rome")
    assert Client().post("/account/zone/", {"timezone": "UTC"}).status_code == 302
    assert zone_of_anna() == "Europe/Rome"


def test_errors_are_at_the_top_and_every_description_exists(world, anna):
    page = anna.post("/account/", ACCOUNT | {"timezone": "Mars"}).content.decode()
    assert page.index('id="form-errors"') < page.index("<h1")
    assert 'href="#id_timezone"' in page
    described = re.findall(r'aria-describedby="([^"]+)"', page)
    named = {name for ids in described for name in ids.split()}
    assert "id_timezone_error" in named
    assert named <= set(re.findall(r'id="([^"]+)"', page))
