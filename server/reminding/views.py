"""The API's part: devices without a broker ask for their settings here."""

from typing import Any

from django.http import HttpResponse
from django.utils.cache import get_conditional_response
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from server.devices.authentication import IsDevice
from server.devices.fair_share import PollThrottle
from server.devices.models import Device
from server.reminding.models import LEAST_PER_MIN, MOST_PER_MIN
from server.reminding.told import message_of, settings_of


class RemindingSerializer(serializers.Serializer[Any]):
    """When to remind: below this blink rate, in blinks a minute."""

    below_per_min = serializers.FloatField(min_value=LEAST_PER_MIN, max_value=MOST_PER_MIN)


class DeviceSettingsSerializer(serializers.Serializer[Any]):
    """What was set for the device's person. A lower version than a known one is out of date."""

    version = serializers.IntegerField()
    device = serializers.UUIDField()
    reminding = RemindingSerializer(allow_null=True, help_text="null: never remind")


class DeviceSettingsView(APIView):
    """`GET /api/device/settings/`."""

    permission_classes = [IsDevice]
    throttle_classes = [PollThrottle]

    @extend_schema(operation_id="device_settings", responses=DeviceSettingsSerializer)
    def get(self, request: Request) -> HttpResponse:
        """Return this device's settings. With If-None-Match and the last ETag: 304 if unchanged."""
        device = request.user
        assert isinstance(device, Device)
        row = settings_of(device)
        tag = f'"{row.version}"'
        response = Response(message_of(row), headers={"ETag": tag})
        unchanged = get_conditional_response(request._request, etag=tag)
        return response if unchanged is None else unchanged
