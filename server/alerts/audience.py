"""Decide who may receive alerts about whom. Every pass, delivery and page checks this again."""

from collections.abc import Iterable

from django.db import transaction
from django.db.models import Exists, F, OuterRef, Q, QuerySet

from server.alerts.models import Alert, Kind, Rule
from server.care.access import note_look, visible_people
from server.care.models import CareLink, Permission, Person


def _allowed() -> Q:
    """Match rows whose `receiver` is the `person`, or has the permission for alerts about them."""
    links = CareLink.objects.filter(
        caregiver=OuterRef("receiver"),
        person=OuterRef("person"),
        ended_at=None,
        may_get_alerts=True,
    )
    themselves = Q(receiver=F("person"))
    return Q(receiver__is_active=True) & (themselves | Q(Exists(links)))


def live_rules() -> QuerySet[Rule]:
    """Return the rules whose receivers may get alerts, with both people selected."""
    return Rule.objects.filter(_allowed()).select_related("receiver", "person")


def ended_rules() -> QuerySet[Rule]:
    """Return the rules whose receivers may no longer get alerts, because sharing ended."""
    ended = Rule.objects.filter(~_allowed(), receiver__is_active=True)
    return ended.select_related("receiver", "person")


def may_be_told(alert: Alert) -> bool:
    """Return whether the receiver may get this alert now."""
    if alert.kind == Kind.RULES_ENDED:
        return alert.receiver.is_active
    return Alert.objects.filter(_allowed(), pk=alert.pk).exists()


def rules_of(receiver: Person) -> QuerySet[Rule]:
    """Return the receiver's rules about people who share alerts with them."""
    mine = Rule.objects.filter(receiver=receiver, person__in=people_to_watch(receiver))
    return mine.select_related("receiver", "person")


def alerts_of(receiver: Person) -> QuerySet[Alert]:
    """Return the receiver's alerts about people who share alerts with them, newest first."""
    shown = Q(person__in=people_to_watch(receiver)) | Q(kind=Kind.RULES_ENDED)
    mine = Alert.objects.filter(shown, receiver=receiver)
    return mine.select_related("person", "rule")


def note_reading(reader: Person, alerts: Iterable[Alert]) -> None:
    """Record in the access logs of the people concerned that `reader` saw these alerts."""
    with transaction.atomic():  # one commit for all of them
        for person in {alert.person for alert in alerts if alert.kind != Kind.RULES_ENDED}:
            note_look(reader, person, "alerts")


def people_told_about(person: Person) -> QuerySet[Person]:
    """Return the people who may get alerts about a person, including themselves."""
    links = CareLink.objects.filter(person=person, ended_at=None, may_get_alerts=True)
    everybody = Q(pk=person.pk) | Q(pk__in=links.values("caregiver"))
    return Person.objects.filter(everybody, is_active=True).order_by("username")


def people_to_watch(receiver: Person) -> QuerySet[Person]:
    """Return the people about whom the receiver may make rules, including themselves."""
    return visible_people(receiver, Permission.ALERTS)
