"""Who may be told about whom now: asked again for each pass, each delivery and each page."""

from collections.abc import Iterable

from django.db import transaction
from django.db.models import Exists, F, OuterRef, Q, QuerySet

from server.alerts.models import Alert, Rule
from server.care.access import note_look, visible_people
from server.care.models import CareLink, Permission, Person


def _allowed() -> Q:
    """Of rows with a `receiver` and a `person`: the same person, or linked with the permission."""
    links = CareLink.objects.filter(
        caregiver=OuterRef("receiver"),
        person=OuterRef("person"),
        ended_at=None,
        may_get_alerts=True,
    )
    themselves = Q(receiver=F("person"))
    return Q(receiver__is_active=True) & (themselves | Q(Exists(links)))


def live_rules() -> QuerySet[Rule]:
    """The rules whose receivers may be told, with both people."""
    return Rule.objects.filter(_allowed()).select_related("receiver", "person")


def may_be_told(alert: Alert) -> bool:
    """Whether the receiver may hear of this alert now."""
    return Alert.objects.filter(_allowed(), pk=alert.pk).exists()


def rules_of(receiver: Person) -> QuerySet[Rule]:
    """The receiver's rules about those who let them be told."""
    mine = Rule.objects.filter(receiver=receiver, person__in=people_to_watch(receiver))
    return mine.select_related("receiver", "person")


def alerts_of(receiver: Person) -> QuerySet[Alert]:
    """The receiver's alerts about those who let them be told, newest first."""
    mine = Alert.objects.filter(receiver=receiver, person__in=people_to_watch(receiver))
    return mine.select_related("person", "rule")


def note_reading(reader: Person, alerts: Iterable[Alert]) -> None:
    """Tell those whose measurements the alerts hold that `reader` saw them."""
    with transaction.atomic():  # one commit for all of them
        for person in {alert.person for alert in alerts}:
            note_look(reader, person, "alerts")


def people_to_watch(receiver: Person) -> QuerySet[Person]:
    """About whom the receiver may make rules: themselves among them."""
    return visible_people(receiver, Permission.ALERTS)
