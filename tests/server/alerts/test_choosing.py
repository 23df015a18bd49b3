"""Whom a new rule and an export are about at first: who has no device means others."""

import pytest
from django.test import Client

from server.care.models import CareLink

pytestmark = pytest.mark.django_db


def selected(page: str) -> str:
    """What the first list of people shows."""
    options = page.partition('name="person"' if 'name="person"' in page else 'name="user"')[2]
    options = options.partition("</select>")[0]
    marked = options.partition(" selected")[0]
    return (marked if " selected" in options else options).rpartition('value="')[2].split('"')[0]


@pytest.fixture
def carl(world) -> Client:
    CareLink.objects.filter(caregiver=world.carl).update(may_get_alerts=True)
    client = Client()
    client.force_login(world.carl)
    return client


def test_a_caregiver_begins_with_somebody_else(carl):
    options = carl.get("/alerts/rules/new/").content.decode().partition("<select")[2]
    first = options.partition('<option value="')[2].split('"')[0]
    assert first == "anna"
    assert selected(carl.get("/export/").content.decode()) == "*"


def test_the_person_that_one_comes_from_is_chosen(carl):
    page = carl.get("/alerts/rules/new/?person=carl").content.decode()
    assert selected(page) == "carl"


def test_who_has_a_device_begins_with_themselves(world):
    client = Client()
    client.force_login(world.anna)
    assert selected(client.get("/export/").content.decode()) == "anna"
