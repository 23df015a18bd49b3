"""`POST /api/alerts/<id>/…/`: acknowledge, give back, snooze and hand over."""

from collections.abc import Callable
from typing import Any

from django.http import Http404
from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from server.alerts.audience import alerts_of, people_told_about
from server.alerts.handling import acts
from server.alerts.models import Alert
from server.alerts.serializers import AlertSerializer, alert_data
from server.care.authentication import person_of
from server.care.models import named
from server.common.fields import Count, Text
from server.common.problems import Conflict, ProblemSerializer

ANSWERS = {200: AlertSerializer, 409: ProblemSerializer}


class SnoozeSerializer(serializers.Serializer[Any]):
    """For how long."""

    minutes = Count(min_value=1, max_value=24 * 60)


class HandOverSerializer(serializers.Serializer[Any]):
    """To whom."""

    user = Text(max_length=150)


class _AlertAction(APIView):
    """An action on one of the user's alerts. Answers with the alert as it is then."""

    def _act(self, request: Request, alert_id: int, act: Callable[[Alert], object]) -> Response:
        mine = alerts_of(person_of(request)).select_related("receiver", "origin", "device")
        alert = mine.filter(pk=alert_id).first()
        if alert is None:
            raise Http404
        try:
            act(alert)
        except acts.NotPossibleError as error:
            raise _conflict(error.code) from None
        return Response(alert_data([mine.get(pk=alert_id)])[0])


def _conflict(code: str) -> Conflict:
    if code == "over":
        return Conflict("the alert is resolved", "over")
    if code == "not_yours":
        return Conflict("somebody else looks after it, or nobody does", "not_yours")
    return Conflict("this user may not get alerts about the person", "not_allowed")


class AcknowledgeView(_AlertAction):
    """`POST /api/alerts/<id>/acknowledge/`."""

    @extend_schema(operation_id="alert_acknowledge", request=None, responses=ANSWERS)
    def post(self, request: Request, alert_id: int) -> Response:
        """Look after the alert's condition. All users who have an alert about it see that.

        This takes over from whoever looked after it before, and stops reminders and escalation.
        """
        return self._act(request, alert_id, lambda a: acts.acknowledge(a, timezone.now()))


class GiveBackView(_AlertAction):
    """`POST /api/alerts/<id>/give-back/`."""

    @extend_schema(operation_id="alert_give_back", request=None, responses=ANSWERS)
    def post(self, request: Request, alert_id: int) -> Response:
        """Stop looking after the alert's condition. Reminders and escalation begin anew."""
        return self._act(request, alert_id, lambda a: acts.give_back(a, timezone.now()))


class SnoozeView(_AlertAction):
    """`POST /api/alerts/<id>/snooze/`."""

    @extend_schema(operation_id="alert_snooze", request=SnoozeSerializer, responses=ANSWERS)
    def post(self, request: Request, alert_id: int) -> Response:
        """Pause the user's reminders, and the escalation, for some minutes."""
        given = SnoozeSerializer(data=request.data)
        given.is_valid(raise_exception=True)
        minutes = given.validated_data["minutes"]
        return self._act(request, alert_id, lambda a: acts.snooze(a, minutes, timezone.now()))


class HandOverView(_AlertAction):
    """`POST /api/alerts/<id>/hand-over/`."""

    @extend_schema(operation_id="alert_hand_over", request=HandOverSerializer, responses=ANSWERS)
    def post(self, request: Request, alert_id: int) -> Response:
        """Ask another user to look after it. Until they acknowledge, it is yours."""
        given = HandOverSerializer(data=request.data)
        given.is_valid(raise_exception=True)

        def ask(alert: Alert) -> None:
            to = named(people_told_about(alert.person), given.validated_data["user"])
            if to is None:
                raise acts.NotPossibleError("not_allowed")
            acts.hand_over(alert, to, timezone.now())

        return self._act(request, alert_id, ask)
