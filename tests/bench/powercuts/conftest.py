"""What the parts need in a test's process."""

import logging
from collections.abc import Iterator
from typing import Any

import pytest


@pytest.fixture(autouse=True)
def database_allowed(django_db_blocker: Any) -> Iterator[None]:
    """The server's database is a file of its own here."""
    with django_db_blocker.unblock():
        yield


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)
