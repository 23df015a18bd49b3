"""Devices and their tokens in the admin site."""

from django.contrib import admin

from server.admin import BaseAdmin, TokenAdmin
from server.devices.models import Device, DeviceToken


@admin.register(Device)
class DeviceAdmin(BaseAdmin):
    """Rename, reassign (the past stays with whom it was measured from), revoke."""

    list_display = ["label", "person", "online", "last_seen_at", "agent_version", "revoked_at"]
    list_select_related = ["person"]
    search_fields = ["label", "id", "person__username"]
    autocomplete_fields = ["person"]
    readonly_fields = [
        "id",
        "created_at",
        "last_seen_at",
        "online",
        "status_at",
        "agent_version",
        "pending_sessions",
    ]


@admin.register(DeviceToken)
class DeviceTokenAdmin(TokenAdmin):
    """Issued by `blink-server create-device` and `rotate-token`."""

    list_display = ["prefix", "device", "created_at", "last_used_at", "revoked_at"]
    list_select_related = ["device"]
    readonly_fields = ["prefix", "device", "created_at", "last_used_at"]
