"""`POST /api/session/batch/`: many session documents in one request and one transaction."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from server.care.models import Person
from server.common.fields import CANONICAL_UUID
from server.common.parsing import BatchParser
from server.common.problems import OUTCOMES, ProblemSerializer, problem
from server.devices.authentication import IsPersonOrDevice
from server.devices.fair_share import BATCHED
from server.session_data.accept import NOT_YOURS, Acceptance, rejected
from server.session_data.models import SessionData
from server.session_data.receive import Delivery, in_batch, receive_batch
from server.session_data.serializers import AcceptanceSerializer, SessionDocumentSerializer
from server.session_data.views import expect_room, writer_of

# As many as the consumer of MQTT takes at once.
MOST_DOCUMENTS = 100
# Why a document that met a bug of this server is deferred: its sender keeps it.
FAILED = "the server failed to store this document; it can be sent again later"


class OutcomeInBatchSerializer(AcceptanceSerializer):
    """The outcome of one document of a batch.

    `deferred`: it was not stored and can be sent again later. `errors` are those of a rejected
    document, by key.
    """

    outcome = serializers.ChoiceField(choices=[*OUTCOMES, "deferred"])
    errors = serializers.JSONField(required=False, allow_null=True)  # type: ignore[assignment]


class BatchSerializer(serializers.Serializer[Any]):
    """The outcomes of a batch, one for each document, in the same order."""

    results = OutcomeInBatchSerializer(many=True)


class BatchView(APIView):
    """`POST /api/session/batch/`."""

    permission_classes = [IsPersonOrDevice]
    parser_classes = [BatchParser]

    @extend_schema(
        operation_id="session_batch",
        request=SessionDocumentSerializer(many=True),
        responses={200: BatchSerializer, 400: ProblemSerializer},
    )
    def post(self, request: Request) -> Response:
        """Store up to 100 complete documents as PUT does, in one transaction.

        A document that is rejected does not hold back the others. After any other answer than 200,
        and after none, all documents can be sent again: those that were stored are duplicates.
        """
        writer = writer_of(request)
        payloads = payloads_of(request)
        if wait_s := BATCHED.take(request.user.pk, documents=len(payloads)):
            self.throttled(request, wait_s)
        deliveries = [in_batch(writer, payload) for payload in payloads]
        if writer.device is None:
            reject_others(writer.person, deliveries)
        results = receive_batch(deliveries)
        expect_room_for_one(results)
        return Response({"results": [told(each) for each in results]})


def payloads_of(request: Request) -> list[bytes]:
    """Return the text of each document. Raises `ValidationError` for none at all or too many."""
    if not isinstance(request.data, list):  # an empty body, which is not parsed
        raise ValidationError("expected a JSON array, found no body")
    if len(request.data) > MOST_DOCUMENTS:
        found = len(request.data)
        raise ValidationError(f"expected at most {MOST_DOCUMENTS} documents, found {found}")
    return request.data


def reject_others(person: Person, deliveries: Sequence[Delivery]) -> None:
    """Reject the documents of sessions that `person` has not started without a device."""
    named: list[tuple[Delivery, UUID]] = []
    for delivery in deliveries:
        delivery.parse()
        session_id = (delivery.document or {}).get("session_id")
        if isinstance(session_id, str) and CANONICAL_UUID.fullmatch(session_id):
            named.append((delivery, UUID(session_id)))
    ids = {session_id for _, session_id in named}
    rows = SessionData.objects.filter(pk__in=ids, user=person, from_device=False)
    own = set(rows.values_list("pk", flat=True))
    for delivery, session_id in named:
        if session_id not in own:
            delivery.acceptance = rejected(delivery.document, NOT_YOURS)
            delivery.document = None


def expect_room_for_one(results: Sequence[Acceptance | None]) -> None:
    """Raise an error after which clients wait, if all documents were deferred by a quota."""
    if results and all(each and each.outcome == "deferred" for each in results):
        assert results[0] is not None
        expect_room(results[0])


def told(acceptance: Acceptance | None) -> dict[str, Any]:
    """Return a document's outcome in the form of `OutcomeInBatchSerializer`."""
    if acceptance is None:
        return Acceptance(None, None, "deferred", FAILED).answer()
    if acceptance.outcome != "rejected":
        return acceptance.answer()
    invalid = problem(ValidationError(acceptance.errors or acceptance.reason))
    return acceptance.answer() | {"errors": invalid["errors"]}
