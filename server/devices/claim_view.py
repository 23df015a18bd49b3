"""`POST /api/device/claim/`: the one door that needs no token, for a box that has none yet."""

import logging
import math
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework import serializers
from rest_framework.exceptions import Throttled, ValidationError
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from server.care.guesses import WINDOW
from server.care.wrong_codes import NO_SUCH_CODE, note_wrong, too_many_wrong
from server.common.codes import LONGEST_TYPED, NotACodeError
from server.common.mqtt import BrokerError
from server.common.problems import BrokerAway, ProblemSerializer
from server.devices.claim import claim

log = logging.getLogger(__name__)


class ClaimSerializer(serializers.Serializer[Any]):
    """The code that a person made, as it was typed, and who types it."""

    code = serializers.CharField(max_length=LONGEST_TYPED)
    agent_version = serializers.CharField(max_length=64, required=False, default="")


class ClaimedSerializer(serializers.Serializer[Any]):
    """A device's identity. Its secrets are shown this once."""

    device = serializers.UUIDField()
    token = serializers.CharField()
    mqtt_password = serializers.CharField(
        allow_null=True, help_text="null where the broker's identities are made by hand"
    )
    mqtt_url = serializers.CharField(allow_null=True, help_text="null where there is no broker")
    label = serializers.CharField()  # type: ignore[assignment] # a field of ours, not its own
    server_time = serializers.DateTimeField(help_text="For a box without a clock")


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
            429: OpenApiResponse(ProblemSerializer, "Too many wrong codes: Retry-After says when"),
        },
    )
    def post(self, request: Request) -> Response:
        """Trade a code for a device's id, token and password at the broker."""
        if too_many_wrong(request):
            raise Throttled(wait=math.ceil(WINDOW.total_seconds()))
        sent = ClaimSerializer(data=request.data)
        sent.is_valid(raise_exception=True)
        version = sent.validated_data["agent_version"]
        try:
            told = claim(sent.validated_data["code"], version if version.isprintable() else "")
        except NotACodeError:
            note_wrong(request)
            raise ValidationError(NO_SUCH_CODE) from None
        except (BrokerError, ImproperlyConfigured) as error:
            log.error("no device can be claimed: the broker %s", error)
            raise BrokerAway("the broker can't make an identity now; the code stays good") from None
        return Response(told, status=201)
