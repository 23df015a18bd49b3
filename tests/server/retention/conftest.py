"""Anna, logged in."""

import pytest
from django.test import Client


def logged_in(person) -> Client:
    client = Client()
    client.force_login(person)
    return client


@pytest.fixture
def anna(world) -> Client:
    return logged_in(world.anna)
