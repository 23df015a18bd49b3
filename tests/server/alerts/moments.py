"""The moment of these tests, the rules in it and what they open."""

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from server.alerts.judge import Judged
from server.alerts.judge import judge as one_pass
from server.alerts.models import Alert, Kind, Pass, Rule

BERLIN = ZoneInfo("Europe/Berlin")
# A Sunday, 14:00 in Berlin.
NOW = datetime(2026, 11, 22, 13, 0, tzinfo=UTC)


def rule(world, kind: Kind, receiver: str = "carl", **limits: Any) -> Rule:
    then = NOW - timedelta(days=1)
    return Rule.objects.create(
        receiver=getattr(world, receiver), person=world.anna, kind=kind, changed_at=then, **limits
    )


def judge(now: datetime) -> Judged:
    """A pass at that moment, after one each minute until then."""
    Pass.objects.filter(at__lt=now).update(at=now - timedelta(minutes=1))
    return one_pass(now)


def open_alerts() -> list[Alert]:
    return list(Alert.objects.filter(resolved_at=None))


def text(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")
