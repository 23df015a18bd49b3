"""The JSON form of alerts, in the API and in webhooks."""

from collections.abc import Sequence
from typing import Any

from rest_framework import serializers

from server.alerts.delivery.mail import page_address
from server.alerts.handling.acts import in_hand, key_of
from server.alerts.models import Acknowledgement, Alert, Kind, Why
from server.alerts.words import ending, heading, sentence
from server.common.fields import instant_text


class AlertSerializer(serializers.Serializer[Any]):
    """An alert of one of the user's rules, open from `opened_at` until `resolved_at`.

    While somebody looks after it, `acknowledged_by` and `acknowledged_at` say who since when, and
    `handing_over_to` whom they have asked to take over. The latter two are user names.
    """

    id = serializers.IntegerField()
    kind = serializers.ChoiceField(choices=Kind.choices)
    user = serializers.CharField(help_text="The person concerned")
    name = serializers.CharField()
    device = serializers.UUIDField(allow_null=True)
    session_id = serializers.UUIDField(allow_null=True)
    opened_at = serializers.DateTimeField()
    resolved_at = serializers.DateTimeField(allow_null=True)
    why = serializers.ChoiceField(choices=Why.choices, allow_null=True)
    acknowledged_by = serializers.CharField(allow_null=True)
    acknowledged_at = serializers.DateTimeField(allow_null=True)
    handing_over_to = serializers.CharField(allow_null=True)
    snoozed_until = serializers.DateTimeField(allow_null=True)
    heading = serializers.CharField()
    text = serializers.CharField(help_text="What was measured, in the language of the request")
    measured = serializers.DictField()
    page = serializers.URLField(allow_null=True)


def alert_data(alerts: Sequence[Alert]) -> list[dict[str, Any]]:
    """Return alerts as JSON data, their texts in the active language."""
    held = in_hand(alert for alert in alerts if alert.resolved_at is None)
    return [_data(alert, held.get(key_of(alert))) for alert in alerts]


def _data(alert: Alert, held: Acknowledgement | None) -> dict[str, Any]:
    if alert.resolved_at is not None:
        held = None
    return {
        "id": alert.pk,
        "kind": alert.kind,
        "user": alert.person.username,
        "name": alert.person.label,
        "device": str(alert.device_id) if alert.device_id else None,
        "session_id": str(alert.session_id) if alert.session_id else None,
        "opened_at": instant_text(alert.opened_at),
        "resolved_at": instant_text(alert.resolved_at) if alert.resolved_at else None,
        "why": alert.why or None,
        "acknowledged_by": held.by.username if held else None,
        "acknowledged_at": instant_text(held.at) if held else None,
        "handing_over_to": held.asked.username if held and held.asked else None,
        "snoozed_until": instant_text(alert.snoozed_until) if alert.snoozed_until else None,
        "heading": heading(alert),
        "text": " ".join(filter(None, (sentence(alert), ending(alert)))),
        "measured": alert.measured,
        "page": page_address() or None,
    }
