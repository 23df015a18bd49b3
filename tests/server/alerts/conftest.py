"""People and documents of the tests of alerts."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from server.alerts.models import Pass
from server.care.models import CareLink
from server.session_data import accept
from tests.server.alerts.moments import NOW
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
