"""Sessions for the pages to show, and the words that a page shows."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any

from django.utils import timezone

from server.session_data.accept import accept_session
from tests.server.conftest import golden


def text_of(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%S}Z"


def measured(
    device: Any, ago: timedelta = timedelta(days=1), name: str = "final", **changes: Any
) -> str:
    """Store a golden session that began that long ago; `metrics` are merged. Its id."""
    started_at = timezone.now() - ago
    document = golden(name, started_at=text_of(started_at), **changes)
    document["metrics"] = golden(name)["metrics"] | changes.get("metrics", {})
    if document["ended_at"]:
        document["ended_at"] = text_of(started_at + timedelta(minutes=5))
    assert accept_session(device, document).outcome == "stored"
    return str(document["session_id"])


def words_of(response: Any) -> str:
    """What is on the page, without tags, in one line."""
    page = re.sub(r"<(script|style|noscript).*?</\1>", "", response.content.decode(), flags=re.S)
    return " ".join(re.sub(r"<[^>]*>", " ", page.replace("<wbr>", "")).split())
