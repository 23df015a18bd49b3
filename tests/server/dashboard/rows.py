"""Rows of sessions as the pages read them."""

from datetime import UTC, date, datetime, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

from server.dashboard import metrics
from server.dashboard.rows import SessionRow

BERLIN = ZoneInfo("Europe/Berlin")
MONDAY = date(2026, 11, 16)
NOON = datetime(2026, 11, 16, 11, tzinfo=UTC)


def row(day: date = MONDAY, **values: float | None) -> SessionRow:
    started_at = NOON + (day - MONDAY)
    measured = {"duration_s": 300.0, "valid_s": 290.0, "coverage": 0.97, **values}
    return SessionRow(
        id=UUID(int=1),
        state="ended",
        placed_at=started_at,
        started_at=started_at,
        ended_at=started_at + timedelta(minutes=5),
        ended_by="button",
        day=day,
        zone=BERLIN,
        date_uncertain=False,
        received_at=started_at,
        heard_at=started_at,
        fps=29.8,
        values=measured,
    )


def missing(
    key: str, fps: float | None = 29.8, active: bool = False, **values: float
) -> str | None:
    metric = next(metric for metric in metrics.METRICS if metric.key == key)
    found = metrics.reading(metric, {"valid_s": 290.0, **values}, fps, active)
    assert found.value is None
    return found.reason
