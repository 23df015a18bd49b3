"""People and documents of the tests of alerts."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from server.alerts.models import Pass
from server.care.models import CareLink
from server.config.mail_settings import mail_settings
from server.session_data import accept
from tests import receivers
from tests.server.alerts.moments import NOW
from tests.server.alerts.notices import prepare
from tests.server.conftest import golden


@pytest.fixture
def told(world):
    """Carl may be told about Anna, and the server has been listening for long."""
    CareLink.objects.filter(caregiver=world.carl, ended_at=None).update(may_get_alerts=True)
    Pass.objects.create(pk=1, at=NOW - timedelta(minutes=1), since=NOW - timedelta(days=9))
    return world


@pytest.fixture
def deliver(told, monkeypatch):
    """Take a document of Anna's device as if it came at a moment of the server's clock."""

    def delivered(name: str, at: datetime, **changes: Any) -> str:
        monkeypatch.setattr(accept.timezone, "now", lambda: at)
        document = golden(name, **changes)
        assert accept.accept_session(told.device, document).outcome == "stored"
        monkeypatch.undo()
        return str(document["session_id"])

    return delivered


@pytest.fixture
def box(settings, mailoutbox):
    with receivers.mail_server() as box:
        settings.EMAIL_URL = box.url
        for name, value in mail_settings(box.url, "").items():
            setattr(settings, name, value)
        settings.PUBLIC_URL = "https://blinklog.example.org"
        yield box


@pytest.fixture
def hook(settings):
    settings.WEBHOOK_PRIVATE = True
    with receivers.webhook() as hook:
        yield hook


@pytest.fixture
def silent(world):
    """Anna's device has been silent for an hour, and Carl has a rule on it."""
    return prepare(world)
