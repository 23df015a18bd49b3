"""Devices and their tokens in the admin site."""

from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest

from server.admin import BaseAdmin, ReadOnlyAdmin, TokenAdmin
from server.devices.broker_access import shut_out
from server.devices.commands import outcome
from server.devices.models import Command, Device, DeviceToken
from server.mqtt import BrokerError


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

    def save_model(self, request: HttpRequest, obj: Device, form: Any, change: bool) -> None:
        """One that is revoked here is shut out at the broker too."""
        super().save_model(request, obj, form, change)
        if obj.revoked_at:
            self._shut_out(request, obj)

    def delete_model(self, request: HttpRequest, obj: Device) -> None:
        """One that is deleted too."""
        self._shut_out(request, obj)
        super().delete_model(request, obj)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Device]) -> None:
        """Each of several."""
        for device in queryset:
            self._shut_out(request, device)
        super().delete_queryset(request, queryset)

    def _shut_out(self, request: HttpRequest, device: Device) -> None:
        try:
            shut_out(device)
        except BrokerError as error:
            text = f"{device} keeps its identity at the broker, which {error}. Save again to end it"
            self.message_user(request, text, messages.WARNING)


@admin.register(DeviceToken)
class DeviceTokenAdmin(TokenAdmin):
    """Issued by `blink-server create-device` and `rotate-token`."""

    list_display = ["prefix", "device", "created_at", "last_used_at", "revoked_at"]
    list_select_related = ["device"]
    readonly_fields = ["prefix", "device", "created_at", "last_used_at"]


@admin.register(Command)
class CommandAdmin(ReadOnlyAdmin):
    """Who asked which device for what, and what became of it."""

    list_display = ["asked_at", "command", "device", "person", "asked_by_name", "became"]
    list_select_related = ["device", "person"]
    search_fields = ["person__username", "asked_by_name"]
    readonly_fields = ["became"]
    show_full_result_count = False

    @admin.display(description="outcome")
    def became(self, command: Command) -> str:
        """As the API says it."""
        return outcome(command)
