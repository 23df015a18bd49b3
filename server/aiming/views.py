"""The API's part of aiming: devices without a broker send their views here."""

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from server.aiming.kept import keep_view
from server.devices.authentication import IsDevice
from server.devices.fair_share import FairShare, PollThrottle
from server.devices.models import Device

VIEWS_PER_S, VIEWS_AT_ONCE = 10.0, 50


class AimThrottle(PollThrottle):
    """The limit for views: five a second, counted apart from requests for commands."""

    share = FairShare(VIEWS_PER_S, VIEWS_AT_ONCE)


class AimView(APIView):
    """`POST /api/device/aim/`."""

    permission_classes = [IsDevice]
    throttle_classes = [AimThrottle]

    @extend_schema(operation_id="device_aim", request=OpenApiTypes.OBJECT, responses={204: None})
    def post(self, request: Request) -> Response:
        """Keep the newest view of this device while its camera is aimed."""
        device = request.user
        assert isinstance(device, Device)
        if not keep_view(device, request.data):
            raise ValidationError("expected a view as `blink-agent aim --json` prints it")
        return Response(status=204)
