"""One session as the pages use it: its columns without the document."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta, tzinfo
from uuid import UUID

from server.session_data.summary.statistics import is_short

# A running session is updated every few seconds; after this time, its device counts as silent.
SILENT_AFTER = timedelta(seconds=90)


@dataclass(frozen=True)
class SessionRow:
    """One session.

    `day` is its local day in `zone`; `heard_at` is the time of its last update. `placed_at` is its
    start or, for an uncertain date, its arrival. `values` has the metrics by their names in the
    session document, `None` if not measured.
    """

    id: UUID
    state: str
    placed_at: datetime
    started_at: datetime
    ended_at: datetime | None
    ended_by: str | None
    day: date
    zone: tzinfo
    date_uncertain: bool
    received_at: datetime
    heard_at: datetime
    device_id: UUID | None = None
    fps: float | None = None
    activity: str | None = None
    activity_chosen: bool = False
    values: Mapping[str, float | None] = field(default_factory=dict)

    @property
    def active(self) -> bool:
        """Whether the session is running, as far as the server knows."""
        return self.state == "active"

    @property
    def placed_day(self) -> date:
        """The local day of `placed_at`; differs from `day` for a session over midnight."""
        return self.placed_at.astimezone(self.zone).date()

    @property
    def short(self) -> bool:
        """Whether the measured time is too short for a meaningful rate."""
        return is_short(self)

    def silent_for(self, now: datetime) -> timedelta | None:
        """Return how long a running session had no update; `None` if that is normal."""
        quiet = now - self.heard_at
        return quiet if self.active and quiet > SILENT_AFTER else None
