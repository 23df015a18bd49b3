"""The outbox: queued notifications, retried until they are sent or dropped.

A delivery is written in the transaction that opens or resolves its alert, so none is lost. A
process leases a delivery before sending it. If it dies after sending but before recording that, the
notification is sent twice.
"""

import logging
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import F, Q, QuerySet
from django.utils import timezone

from server.alerts.audience import may_be_told
from server.alerts.delivery.quiet import quiet_until
from server.alerts.models import Alert, Delivery, Kind, Notice, Receiver, Why
from server.care.access import note_look
from server.common.logs import place_of

log = logging.getLogger(__name__)

# Longer than any send can take, because every wait is bounded.
LEASE = timedelta(minutes=2)
# Retry after 1, 2, 4 ... minutes, at most an hour: ten tries take four hours.
MOST_TRIES = 10
FIRST_RETRY_PAUSE = timedelta(minutes=1)
LONGEST_RETRY_PAUSE = timedelta(hours=1)
# A timer runs a pass every minute. Deliveries not sent in this time wait for the next pass.
SENDING_S = 40.0
MOST_IN_A_PASS = 500
# Finished deliveries are kept for this long, then deleted by `tidy`.
KEPT = timedelta(days=30)

Send = Callable[[Delivery, Receiver], None]


class SendError(Exception):
    """Sending failed. The text has no personal data.

    `permanent` means that retrying is pointless. `whole` means that the whole channel is down, not
    only this delivery.
    """

    def __init__(self, text: str, *, permanent: bool = False, whole: bool = False) -> None:
        super().__init__(text)
        self.permanent = permanent
        self.whole = whole


# Writing


def put(alerts: Iterable[Alert], notice: Notice, now: datetime, number: int = 0) -> None:
    """Queue a notice of each alert on its receiver's channels, in the caller's transaction.

    `number` tells repetitions apart; the same one is queued once.
    """
    alerts = list(alerts)
    receivers = _receivers(alerts)
    Delivery.objects.bulk_create(
        (
            Delivery(alert=alert, notice=notice, number=number, way=way, created_at=now, due_at=now)
            for alert in alerts
            if alert.receiver_id in receivers
            for way in receivers[alert.receiver_id].ways()
        ),
        ignore_conflicts=True,
    )


def put_resolved(alerts: Sequence[Alert], now: datetime) -> None:
    """Drop unsent notifications of resolved alerts; where one was sent, queue the resolution.

    A delivery that was tried counts as sent: the process may have died just after sending.
    """
    earlier = Delivery.objects.filter(alert__in=alerts).exclude(notice=Notice.RESOLVED)
    earlier.filter(sent_at=None, dropped_at=None, attempts=0).update(
        dropped_at=now, problem="resolved before it was sent"
    )
    sent = earlier.filter(Q(attempts__gt=0), Q(dropped_at=None))
    silent = {alert.pk for alert in alerts if alert.why in (Why.WITHDRAWN, Why.CHANGED)}
    Delivery.objects.bulk_create(
        Delivery(alert_id=alert, notice=Notice.RESOLVED, way=way, created_at=now, due_at=now)
        for alert, way in sent.order_by("alert_id", "way").values_list("alert_id", "way").distinct()
        if alert not in silent
    )


def _receivers(alerts: Iterable[Alert]) -> dict[int, Receiver]:
    found = Receiver.objects.filter(person__in={alert.receiver_id for alert in alerts})
    return {each.person_id: each for each in found}


def reschedule(receiver: Receiver) -> None:
    """Make a receiver's waiting deliveries due now, because the quiet hours have changed."""
    now = timezone.now()
    waiting = _unsent().filter(alert__receiver=receiver.person, due_at__gt=now, attempts=0)
    waiting.update(due_at=now)


# Sending


def deliver(senders: Mapping[str, Send], for_s: float = SENDING_S) -> tuple[int, int]:
    """Send due deliveries, fewest tries first. Return how many were sent and how many failed."""
    until_s = time.monotonic() + for_s
    now = timezone.now()
    due = _free(now).order_by("attempts", "due_at").values_list("pk", "way")[:MOST_IN_A_PASS]
    closed: set[str] = set()
    counts = {"sent": 0, "failed": 0}
    for pk, way in list(due):
        if time.monotonic() > until_s:
            break
        if way in closed or (delivery := _existing(pk)) is None:
            continue
        outcome = _deliver_one(delivery, senders, closed)
        if outcome in counts:
            counts[outcome] += 1
    return counts["sent"], counts["failed"]


def _unsent() -> QuerySet[Delivery]:
    return Delivery.objects.filter(sent_at=None, dropped_at=None)


def _free(now: datetime) -> QuerySet[Delivery]:
    return _unsent().filter(Q(claimed_until=None) | Q(claimed_until__lt=now), due_at__lte=now)


def _existing(pk: int) -> Delivery | None:
    """Return a delivery, or `None` if its alert was deleted since the pass began."""
    deliveries = Delivery.objects.select_related("alert__person", "alert__receiver")
    return deliveries.filter(pk=pk).first()


def _deliver_one(delivery: Delivery, senders: Mapping[str, Send], closed: set[str]) -> str:
    """Send one delivery. Return `sent`, `failed`, or why it was not tried now."""
    now = timezone.now()
    pk = delivery.pk
    receiver = Receiver.objects.filter(person=delivery.alert.receiver_id).first()
    if receiver is None:
        return _drop(delivery, now, "notifications are off")
    if reason := _reason_to_drop(delivery, receiver):
        return _drop(delivery, now, reason)
    zone = delivery.alert.receiver.zone
    when = quiet_until(now, zone, receiver.quiet_from, receiver.quiet_until)
    if when > now:
        _free(now).filter(pk=pk).update(due_at=when)
        return "quiet"
    if not _free(now).filter(pk=pk).update(claimed_until=now + LEASE, attempts=F("attempts") + 1):
        return "claimed by another process"
    delivery.attempts += 1
    if error := _try(senders[delivery.way], delivery, receiver):
        if error.whole:
            closed.add(delivery.way)
        return _failed(delivery, error)
    _note_sent(delivery)
    return "sent"


def _note_sent(delivery: Delivery) -> None:
    """Record that it was sent, unless the alert or a person was deleted meanwhile."""
    with transaction.atomic():
        sent = {"sent_at": timezone.now(), "claimed_until": None, "problem": ""}
        told = Delivery.objects.filter(pk=delivery.pk).update(**sent)
        if told and delivery.alert.kind != Kind.RULES_ENDED:
            note_look(delivery.alert.receiver, delivery.alert.person, "notice")


def _try(send: Send, delivery: Delivery, receiver: Receiver) -> SendError | None:
    """Try to send; return the error, if any. A bug only makes this attempt fail."""
    try:
        send(delivery, receiver)
    except SendError as error:
        return error
    except Exception as error:
        log.error("unexpected error in a notification by %s: %s", delivery.way, place_of(error))
        return SendError(f"server error: {type(error).__name__}")
    return None


def _reason_to_drop(delivery: Delivery, receiver: Receiver) -> str | None:
    alert = delivery.alert
    if delivery.way not in receiver.ways():
        return "this channel was turned off"
    if not may_be_told(alert):
        return "the receiver no longer has permission"
    over = alert.resolved_at is not None and alert.kind != Kind.RULES_ENDED
    if delivery.notice != Notice.RESOLVED and over:
        return "resolved before it was sent"
    return None


def _drop(delivery: Delivery, now: datetime, reason: str) -> str:
    _unsent().filter(pk=delivery.pk).update(dropped_at=now, claimed_until=None, problem=reason)
    return "dropped"


def _failed(delivery: Delivery, error: SendError) -> str:
    now = timezone.now()
    log.warning("a notification by %s could not be sent: %s", delivery.way, error)
    if error.permanent or delivery.attempts >= MOST_TRIES:
        _drop(delivery, now, str(error)[:200])
        return "failed"
    pause = min(FIRST_RETRY_PAUSE * 2 ** (delivery.attempts - 1), LONGEST_RETRY_PAUSE)
    _unsent().filter(pk=delivery.pk).update(
        due_at=now + pause, claimed_until=None, problem=str(error)[:200]
    )
    return "failed"


def depth() -> int:
    """Return the number of unfinished deliveries."""
    return _unsent().count()
