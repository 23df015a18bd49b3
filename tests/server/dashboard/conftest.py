"""Browsers, logged in or not."""

import pytest
from django.test import Client


@pytest.fixture
def browser(world):
    """`browser("carl")` is logged in; `browser()` is not."""

    def log_in(name: str = "") -> Client:
        client = Client()
        if name:
            client.force_login(getattr(world, name))
        return client

    return log_in
