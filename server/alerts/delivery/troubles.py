"""Which channels of a person fail, and since when."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Max, Min
from django.utils import timezone

from server.alerts.models import Delivery, Way
from server.alerts.words import moment
from server.care.models import Person

# After this long, the page says that a channel does not work. Until then, that it is tried again.
LONG = timedelta(days=1)


@dataclass(frozen=True)
class Trouble:
    """A channel on which notifications fail, and since when."""

    way: str
    since: str
    is_long: bool


def troubles(viewer: Person) -> list[Trouble]:
    """Return the channels on which nothing was sent since a notification failed."""
    now = timezone.now()
    return [
        Trouble(str(way.label), moment(since, viewer.zone), now - since > LONG)
        for way in Way
        if (since := _failing_since(viewer, way))
    ]


def _failing_since(viewer: Person, way: Way) -> datetime | None:
    mine = Delivery.objects.filter(alert__receiver=viewer, way=way)
    worked = mine.aggregate(last=Max("sent_at"))["last"]
    failed = mine.filter(sent_at=None, attempts__gt=0)
    if worked is not None:
        failed = failed.filter(created_at__gt=worked)
    first: datetime | None = failed.aggregate(first=Min("created_at"))["first"]
    return first
