"""REST API views of requests for access."""

from django.core.exceptions import ValidationError as ModelError
from django.urls import reverse
from drf_spectacular.utils import extend_schema
from rest_framework.exceptions import PermissionDenied
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from server.care.asking import requests
from server.care.asking.serializers import (
    AskSerializer,
    ReceivedListSerializer,
    SentListSerializer,
    SentSerializer,
    permissions_of,
)
from server.care.authentication import person_of
from server.care.models import AccessRequest
from server.care.serializers import LinkSerializer, PermissionsSerializer
from server.common.paging import PAGE_PARAMETERS, rows_page
from server.common.problems import from_model

ORDER = ("-made_at", "-id")


class SentView(APIView):
    """`/api/access-requests/`."""

    @extend_schema(
        operation_id="access_requests", parameters=PAGE_PARAMETERS, responses=SentListSerializer
    )
    def get(self, request: Request) -> Response:
        """List your open requests. A declined one stays until it expires."""
        page = rows_page(request, AccessRequest.sent_by(person_of(request)), ORDER)
        return Response(SentListSerializer(page.answer(page.rows)).data)

    @extend_schema(
        operation_id="access_request_create",
        request=AskSerializer,
        responses={201: SentSerializer},
    )
    def post(self, request: Request) -> Response:
        """Ask a member of your institution for access. The answer is the same for every name."""
        asker = person_of(request)
        institution = requests.institution_of(asker)
        if institution is None:
            raise PermissionDenied("only members of an institution can ask", "not_a_member")
        sent = AskSerializer(data=request.data)
        sent.is_valid(raise_exception=True)
        try:
            made = requests.ask(asker, institution, **sent.validated_data)
        except ModelError as error:
            raise from_model(error) from None
        where = reverse("api-access-request", args=[made.pk])
        return Response(SentSerializer(made).data, status=201, headers={"Location": where})


class WithdrawView(APIView):
    """`/api/access-requests/<id>/`."""

    @extend_schema(operation_id="access_request_withdraw", responses={204: None})
    def delete(self, request: Request, request_id: int) -> Response:
        """Withdraw one of your open requests."""
        requests.withdraw(person_of(request), request_id)
        return Response(status=204)


class ReceivedView(APIView):
    """`GET /api/access-requests/received/`."""

    @extend_schema(
        operation_id="access_requests_received",
        parameters=PAGE_PARAMETERS,
        responses=ReceivedListSerializer,
    )
    def get(self, request: Request) -> Response:
        """List the requests for access to your data that you can answer."""
        page = rows_page(request, AccessRequest.received_by(person_of(request)), ORDER)
        return Response(ReceivedListSerializer(page.answer(page.rows)).data)


class AgreeView(APIView):
    """`POST /api/access-requests/<id>/agree/`."""

    @extend_schema(
        operation_id="access_request_agree",
        request=PermissionsSerializer,
        responses={201: LinkSerializer},
    )
    def post(self, request: Request, request_id: int) -> Response:
        """Give who asked these of the permissions that they asked for."""
        try:
            link = requests.agree(person_of(request), request_id, permissions_of(request.data))
        except ModelError as error:
            raise from_model(error) from None
        where = reverse("api-link", args=[link.pk])
        return Response(LinkSerializer(link).data, status=201, headers={"Location": where})


class DeclineView(APIView):
    """`POST /api/access-requests/<id>/decline/`."""

    @extend_schema(operation_id="access_request_decline", request=None, responses={204: None})
    def post(self, request: Request, request_id: int) -> Response:
        """Decline a request. Who asked is not told."""
        requests.decline(person_of(request), request_id)
        return Response(status=204)
