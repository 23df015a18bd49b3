"""REST API views to list, claim and manage devices."""

import logging
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.core.exceptions import ImproperlyConfigured
from django.core.exceptions import ValidationError as ModelError
from django.http import Http404
from django.urls import reverse
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework import serializers
from rest_framework.exceptions import ValidationError
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from server.care.access import note_look, permissions, person_for
from server.care.attempts import WAIT_S, TooManyError
from server.care.authentication import person_of
from server.care.institutions import institution_of
from server.care.models import Permission, Person
from server.care.wrong_codes import NO_SUCH_CODE, attempt
from server.common.codes import NotACodeError
from server.common.mqtt import BrokerError
from server.common.paging import PAGE_PARAMETERS, parameter, rows_page
from server.common.problems import (
    BrokerUnavailable,
    ProblemSerializer,
    TooManyAttempts,
    from_model,
)
from server.devices import manage, representation
from server.devices.authorities import authority_with
from server.devices.claim import claim, make_code
from server.devices.models import Device
from server.devices.serializers import (
    AuthoritySerializer,
    ClaimCodeCreateSerializer,
    ClaimedSerializer,
    ClaimSerializer,
    CodeSerializer,
    CredentialsSerializer,
    DeviceSerializer,
    PresencesSerializer,
    ReassignSerializer,
    RefusalsSerializer,
    RenameSerializer,
)

log = logging.getLogger(__name__)

ORDER = ("label", "id")


def valid(serializer: serializers.Serializer[Any]) -> dict[str, Any]:
    """Return the validated data. Raises `ValidationError`."""
    serializer.is_valid(raise_exception=True)
    checked: dict[str, Any] = serializer.validated_data
    return checked


def person_with_devices(viewer: Person, username: str | None) -> Person:
    """Return the person. Raises `Http404` if the viewer has neither the live nor the control
    permission."""
    try:
        return person_for(viewer, username, Permission.LIVE)
    except Http404:
        return person_for(viewer, username, Permission.CONTROL)


class DevicesView(APIView):
    """`GET /api/device/`."""

    @extend_schema(
        operation_id="devices",
        parameters=[parameter("user", "A user name; yourself by default"), *PAGE_PARAMETERS],
        responses=PresencesSerializer,
    )
    def get(self, request: Request) -> Response:
        """List a person's devices. Needs the live or the control permission.

        `online` and `last_seen_at` are only shown with the live permission.
        """
        viewer = person_of(request)
        person = person_with_devices(viewer, request.query_params.get("user"))
        is_live = Permission.LIVE in permissions(viewer, person)
        devices = Device.objects.filter(person=person).select_related("person")
        page = rows_page(request, devices, ORDER, ("user",))
        note_look(viewer, person, "devices")
        told = [representation.presence(each, is_live=is_live) for each in page.rows]
        return Response(PresencesSerializer(page.answer(told)).data)


class ManagedDevicesView(APIView):
    """`GET /api/device/managed/`."""

    @extend_schema(
        operation_id="devices_managed", parameters=PAGE_PARAMETERS, responses=PresencesSerializer
    )
    def get(self, request: Request) -> Response:
        """List the devices that you manage: your own, and those of your institution's members."""
        page = rows_page(request, manage.managed_by(person_of(request)), ORDER)
        told = [representation.presence(each) for each in page.rows]
        return Response(PresencesSerializer(page.answer(told)).data)


class CodesView(APIView):
    """`POST /api/device/claim-codes/`."""

    @extend_schema(
        operation_id="device_code",
        request=ClaimCodeCreateSerializer,
        responses={201: CodeSerializer},
    )
    def post(self, request: Request) -> Response:
        """Create a claim code, with which a device registers itself."""
        viewer = person_of(request)
        asked = valid(ClaimCodeCreateSerializer(data=request.data))
        person = manage.person_to_manage(viewer, asked.get("user"))
        life = timedelta(minutes=asked["minutes"])
        institution = manage.acting_for(viewer, person)
        try:
            made, text = make_code(person, asked["label"], viewer, life, institution)
        except ModelError as error:
            raise from_model(error) from None
        told = {"code": text, "label": made.label, "user": person.username}
        return Response(CodeSerializer(told | {"expires_at": made.expires_at}).data, status=201)


class DeviceView(APIView):
    """`/api/device/<id>/`."""

    @extend_schema(operation_id="device", responses=DeviceSerializer)
    def get(self, request: Request, device_id: UUID) -> Response:
        """Show a device that you manage."""
        device = manage.managed_device(person_of(request), device_id)
        return Response(DeviceSerializer(representation.details(device)).data)

    @extend_schema(
        operation_id="device_rename", request=RenameSerializer, responses=DeviceSerializer
    )
    def patch(self, request: Request, device_id: UUID) -> Response:
        """Rename a device."""
        viewer = person_of(request)
        device = manage.managed_device(viewer, device_id)
        try:
            manage.rename(viewer, device, valid(RenameSerializer(data=request.data))["label"])
        except ModelError as error:
            raise from_model(error) from None
        return Response(DeviceSerializer(representation.details(device)).data)

    @extend_schema(operation_id="device_revoke", responses={204: None})
    def delete(self, request: Request, device_id: UUID) -> Response:
        """Revoke a device. Takes effect with its next request. Its sessions are kept."""
        viewer = person_of(request)
        try:
            manage.revoke(viewer, manage.managed_device(viewer, device_id))
        except (BrokerError, ImproperlyConfigured) as error:
            raise broker_unavailable(
                error, "the server has revoked the device: try again"
            ) from None
        return Response(status=204)


class RotateView(APIView):
    """`POST /api/device/<id>/rotate/`."""

    @extend_schema(
        operation_id="device_rotate", request=None, responses={201: CredentialsSerializer}
    )
    def post(self, request: Request, device_id: UUID) -> Response:
        """Issue a new token and password. The previous token is valid until the next rotation."""
        viewer = person_of(request)
        try:
            told = manage.rotate(viewer, manage.managed_device(viewer, device_id))
        except ModelError as error:
            raise from_model(error) from None
        except (BrokerError, ImproperlyConfigured) as error:
            raise broker_unavailable(
                error, "it may have deleted the device's identity: try again; the token still works"
            ) from None
        return made(device_id, {"mqtt_password": None} | told)


class ReassignView(APIView):
    """`POST /api/device/<id>/reassign/`."""

    @extend_schema(
        operation_id="device_reassign", request=ReassignSerializer, responses={204: None}
    )
    def post(self, request: Request, device_id: UUID) -> Response:
        """Reassign a device. Its past sessions still belong to the former person."""
        viewer = person_of(request)
        device = manage.managed_device(viewer, device_id)
        asked = valid(ReassignSerializer(data=request.data))
        try:
            if "user" in asked:
                institution = institution_of(viewer)
                manage.reassign_within(viewer, institution, device, asked["user"])
            else:
                self._give_away(request, device, asked["code"])
        except ModelError as error:
            raise from_model(error) from None
        except NotACodeError:
            raise ValidationError(NO_SUCH_CODE, "no_such_code") from None
        return Response(status=204)

    def _give_away(self, request: Request, device: Device, code: str) -> None:
        try:
            with attempt(request, code):
                manage.give_away(person_of(request), device, code)
        except TooManyError:
            raise TooManyAttempts(WAIT_S) from None


class RefusalsView(APIView):
    """`GET /api/device/<id>/refused/`."""

    @extend_schema(
        operation_id="device_refused", parameters=PAGE_PARAMETERS, responses=RefusalsSerializer
    )
    def get(self, request: Request, device_id: UUID) -> Response:
        """List why the device's documents were rejected."""
        viewer = person_of(request)
        device = manage.managed_device(viewer, device_id)
        letters = representation.refused_documents(device)
        page = rows_page(request, letters, ("-received_at", "-id"))
        told = representation.refused(viewer, device, page.rows)
        return Response(RefusalsSerializer(page.answer(told)).data)


def broker_unavailable(error: Exception, what: str) -> BrokerUnavailable:
    """Log the error and return a 503. `what` says what has been changed."""
    log.error("could not update a device's account: the broker %s", error)
    return BrokerUnavailable(f"the broker is unavailable; {what}")


def made(device_id: UUID | str, told: dict[str, Any]) -> Response:
    """Return a 201 with a device's credentials, and its address."""
    where = reverse("device", args=[device_id])
    return Response(told, status=201, headers={"Location": where})


class ClaimView(APIView):
    """`POST /api/device/claim/`."""

    authentication_classes = []
    permission_classes = [AllowAny]

    @extend_schema(
        operation_id="device_claim",
        auth=[],
        request=ClaimSerializer,
        responses={
            201: ClaimedSerializer,
            429: OpenApiResponse(
                ProblemSerializer, "Too many wrong codes; Retry-After says when to try again"
            ),
        },
    )
    def post(self, request: Request) -> Response:
        """Exchange a claim code for a device's id, token and broker password."""
        sent = ClaimSerializer(data=request.data)
        sent.is_valid(raise_exception=True)
        code, version = sent.validated_data["code"], sent.validated_data["agent_version"]
        try:
            with attempt(request, code):
                told = claim(code, version if version.isprintable() else "")
        except TooManyError:
            raise TooManyAttempts(WAIT_S) from None
        except NotACodeError:
            raise ValidationError(NO_SUCH_CODE, "no_such_code") from None
        except ModelError as error:
            raise from_model(error) from None
        except (BrokerError, ImproperlyConfigured) as error:
            log.error("could not claim a device: the broker %s", error)
            raise BrokerUnavailable("the broker is unavailable; the code is still valid") from None
        return made(told["device"], told)


class AuthorityView(APIView):
    """`GET /api/device/authorities/<fingerprint>/`."""

    authentication_classes = []
    permission_classes = [AllowAny]

    @extend_schema(operation_id="device_authority", auth=[], responses=AuthoritySerializer)
    def get(self, _request: Request, fingerprint: str) -> Response:
        """Return the certificates of the server's or the broker's private authority.

        A device asks for them before it can check the server's certificate. It knows their
        fingerprint from its code, and compares.
        """
        found = authority_with(fingerprint)
        if found is None:
            raise Http404
        return Response(AuthoritySerializer({"certificates": found.certificates}).data)
