"""The API of releases: devices report and download, people see and ask."""

import re
from typing import Any
from uuid import UUID

from django.core.exceptions import ValidationError as ModelError
from django.http import Http404, HttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework.exceptions import APIException
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from server.care.authentication import person_of
from server.common.problems import Conflict, ProblemSerializer, from_model
from server.devices import manage
from server.devices.authentication import IsDevice
from server.devices.fair_share import FairShare, PollThrottle
from server.devices.models import Device
from server.releases import shelf, updates
from server.releases.serializers import (
    AnswerSerializer,
    InstallSerializer,
    KeySerializer,
    ReportSerializer,
    SoftwareSerializer,
)
from server.releases.signing import fingerprint
from server.releases.updates import Software

# The most that one answer has of an archive: a slow device takes it within the server's limit for
# slow clients, and no thread is busy with one for long.
PART_BYTES = 1 << 20
# A whole release has about 130 parts. A device that begins again and again has to wait.
PARTS_PER_S, PARTS_AT_ONCE = 2.0, 400
RANGE = re.compile(r"bytes=(\d{1,12})-(\d{1,12})?")


class RangeNeeded(APIException):
    """An archive is sent in parts only: status 400."""

    status_code = 400
    default_code = "range_needed"
    default_detail = "expected the header Range: bytes=FIRST-, found none that can be used"


class RangeNotThere(APIException):
    """The archive has no such part: status 416."""

    status_code = 416
    default_code = "range_not_there"
    default_detail = "the archive ends before this range"


class PartThrottle(PollThrottle):
    """The limit for parts of archives, counted apart from requests for commands."""

    name = "parts"
    share = FairShare(PARTS_PER_S, PARTS_AT_ONCE)


class ReportView(APIView):
    """`POST /api/device/release/`."""

    permission_classes = [IsDevice]
    throttle_classes = [PollThrottle]

    @extend_schema(
        operation_id="device_release", request=ReportSerializer, responses=AnswerSerializer
    )
    def post(self, request: Request) -> Response:
        """Note which version this device runs and how its update goes; say what to install.

        The device checks everything itself: nothing is taken without a signature of the key that it
        trusts.
        """
        sent = ReportSerializer(data=request.data)
        sent.is_valid(raise_exception=True)
        device = _device_of(request)
        return Response({"wanted": updates.report(device, sent.validated_data)})


class KeyView(APIView):
    """`GET /api/device/release/key/`."""

    authentication_classes = []
    permission_classes = [AllowAny]

    @extend_schema(operation_id="device_release_key", auth=[], responses=KeySerializer)
    def get(self, _request: Request) -> Response:
        """Return the public key that signs this server's releases; 404 if it offers none."""
        pem = shelf.key()
        if pem is None:
            raise Http404
        return Response({"key": pem, "fingerprint": fingerprint(pem)})


class ArchiveView(APIView):
    """`GET /api/device/release/<sha256>/`."""

    permission_classes = [IsDevice]
    throttle_classes = [PartThrottle]

    @extend_schema(
        operation_id="device_release_archive",
        parameters=[
            OpenApiParameter(
                "Range", str, OpenApiParameter.HEADER, required=True, description="bytes=FIRST-"
            )
        ],
        responses={
            (206, "application/octet-stream"): OpenApiTypes.BINARY,
            416: OpenApiResponse(ProblemSerializer, "The archive ends before this range"),
        },
    )
    def get(self, request: Request, sha256: str) -> HttpResponse:
        """Return a part of the archive that this device is to install, at most 1 MiB.

        With the header Range, which is needed. A longer range is answered by its beginning.
        """
        release = updates.archive_for(_device_of(request), sha256)
        if release is None:
            raise Http404
        asked = RANGE.fullmatch(request.headers.get("Range", ""))
        if asked is None:
            raise RangeNeeded
        size, first = release.manifest.size, int(asked[1])
        last = min(int(asked[2] or size - 1), first + PART_BYTES - 1, size - 1)
        if first >= size or last < first:
            raise RangeNotThere
        with release.archive.open("rb") as file:
            file.seek(first)
            part = file.read(last - first + 1)
        # Not compressed: a part must have the length that was asked for.
        told = {"Content-Range": f"bytes {first}-{last}/{size}", "Content-Encoding": "identity"}
        return HttpResponse(part, "application/octet-stream", 206, headers=told)


class SoftwareView(APIView):
    """`/api/device/<id>/release/`."""

    @extend_schema(operation_id="device_software", responses=SoftwareSerializer)
    def get(self, request: Request, device_id: UUID) -> Response:
        """Show the version of a device that you manage, what it is offered, and its last update."""
        device = manage.managed_device(person_of(request), device_id)
        return _told(updates.software_of(device))

    @extend_schema(
        operation_id="device_install", request=InstallSerializer, responses=SoftwareSerializer
    )
    def post(self, request: Request, device_id: UUID) -> Response:
        """Ask the device to install the offered release between sessions."""
        viewer = person_of(request)
        device = manage.managed_device(viewer, device_id)
        sent = InstallSerializer(data=request.data)
        sent.is_valid(raise_exception=True)
        try:
            updates.ask(viewer, device, sent.validated_data["sha256"])
        except ModelError as error:
            raise from_model(error) from None
        return _told(updates.software_of(manage.managed_device(viewer, device_id)))

    @extend_schema(operation_id="device_install_withdraw", responses={204: None})
    def delete(self, request: Request, device_id: UUID) -> Response:
        """Withdraw the update, unless the device is installing it."""
        viewer = person_of(request)
        if not updates.withdraw(viewer, manage.managed_device(viewer, device_id)):
            raise Conflict("there is no update that can be withdrawn", "no_update")
        return Response(status=204)


def _device_of(request: Request) -> Device:
    device = request.user
    assert isinstance(device, Device)
    return device


def _told(found: Software) -> Response:
    offered, update = found.offered, found.update
    told: dict[str, Any] = {
        "version": found.version or None,
        "key_trusted": found.trusts,
        "offered": offered and offered.manifest,
        "update": None,
    }
    if update is not None:
        names = ("version", "state", "percent", "asked_at", "changed_at")
        told["update"] = {name: getattr(update, name) for name in names}
        told["update"]["code"] = update.code or None
    return Response(SoftwareSerializer(told).data)
