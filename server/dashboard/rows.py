"""One session as the pages use it: its columns, without the document."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta, tzinfo
from uuid import UUID

from server.session_data.summary.statistics import is_short

# A session under way is heard of every few seconds; after this long its device is called silent.
SILENT_AFTER = timedelta(seconds=90)


@dataclass(frozen=True)
class SessionRow:
    """`day` is the local day it belongs to, in `zone`; `heard_at`, when it was last heard of.

    `placed_at` is its start or, where the date is uncertain, when it arrived.

    `values` holds the metrics by their names in the session document, `None` where not measured.
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
    values: Mapping[str, float | None] = field(default_factory=dict)

    @property
    def active(self) -> bool:
        """Whether it is still going on, as far as the server has heard."""
        return self.state == "active"

    @property
    def placed_day(self) -> date:
        """The local day of `placed_at`: not `day`, where it went on over midnight."""
        return self.placed_at.astimezone(self.zone).date()

    @property
    def short(self) -> bool:
        """Whether too little was measured (yet) for a rate to mean something."""
        return is_short(self)

    def silent_for(self, now: datetime) -> timedelta | None:
        """How long nothing was heard of a session under way; `None` while that is no wonder."""
        quiet = now - self.heard_at
        return quiet if self.active and quiet > SILENT_AFTER else None
