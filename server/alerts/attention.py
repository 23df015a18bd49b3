"""Which of a receiver's open alerts still need somebody, and who looks after the others."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from server.alerts.audience import alerts_of
from server.alerts.handling.acts import in_hand, key_of
from server.alerts.models import Alert
from server.care.models import Person


@dataclass(frozen=True)
class Attention:
    """By the person's key: how many open alerts nobody looks after, and who looks after others."""

    waiting: Counter[int] = field(default_factory=Counter)
    looked_after: dict[int, list[Person]] = field(default_factory=dict)


def attention_of(receiver: Person) -> Attention:
    """Return what of the receiver's open alerts needs attention, with two queries at most."""
    found = Attention()
    alerts: Sequence[Alert] = list(alerts_of(receiver).filter(resolved_at=None))
    held = in_hand(alerts) if alerts else {}
    for alert in alerts:
        if key_of(alert) not in held:
            found.waiting[alert.person_id] += 1
            continue
        names = found.looked_after.setdefault(alert.person_id, [])
        if held[key_of(alert)].by not in names:
            names.append(held[key_of(alert)].by)
    return found
