"""Devices and their tokens in the admin site."""

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import ImproperlyConfigured
from django.db.models import QuerySet
from django.http import HttpRequest

from server.care.pages.base import viewer_of
from server.common.admin import BaseAdmin, TokenAdmin
from server.common.mqtt import BrokerError
from server.devices import manage
from server.devices.claim import checked_label
from server.devices.models import Device, DeviceToken


class DeviceForm(forms.ModelForm):  # type: ignore[type-arg] # generic for the checker alone
    """A label as `manage` takes it."""

    def clean(self) -> dict[str, Any]:
        """On one line."""
        if "label" in self.cleaned_data:
            self.cleaned_data["label"] = checked_label(self.cleaned_data["label"])
        return self.cleaned_data


@admin.register(Device)
class DeviceAdmin(BaseAdmin):
    """Rename, reassign (the past stays with whom it was measured from), revoke."""

    form = DeviceForm
    list_display = ["label", "person", "is_online", "last_seen_at", "agent_version", "revoked_at"]
    list_select_related = ["person"]
    search_fields = ["label", "id", "person__username"]
    autocomplete_fields = ["person"]
    readonly_fields = [
        "id",
        "created_at",
        "revoked_at",
        "reassigned_at",
        "last_seen_at",
        "is_online",
        "status_at",
        "agent_version",
        "pending_sessions",
    ]
    actions = ["revoke"]

    def get_readonly_fields(self, request: HttpRequest, obj: Device | None = None) -> list[str]:  # noqa: ARG002
        """One that is revoked measures nobody any more."""
        return [*self.readonly_fields, "person"] if obj and obj.revoked_at else self.readonly_fields

    def save_model(self, request: HttpRequest, obj: Device, form: Any, change: bool) -> None:
        """What was changed here, and no other column: a page may have been open for long."""
        if not change:
            super().save_model(request, obj, form, change)
            return
        device = Device.objects.select_related("person").get(pk=obj.pk)
        if "label" in form.changed_data:
            manage.rename(viewer_of(request), device, obj.label)
        if "person" in form.changed_data:
            manage.reassign(viewer_of(request), device, obj.person)

    @admin.action(description="Revoke: the server and the broker let it in no more")
    def revoke(self, request: HttpRequest, queryset: QuerySet[Device]) -> None:
        """Each of them; one that is revoked already is shut out at the broker once more."""
        for device in queryset.select_related("person"):
            self._revoke(request, device)

    def delete_model(self, request: HttpRequest, obj: Device) -> None:
        """One that is deleted is shut out before."""
        self._revoke(request, obj)
        super().delete_model(request, obj)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Device]) -> None:
        """Each of several."""
        for device in queryset:
            self._revoke(request, device)
        super().delete_queryset(request, queryset)

    def _revoke(self, request: HttpRequest, device: Device) -> None:
        try:
            manage.revoke(viewer_of(request), device)
        except (BrokerError, ImproperlyConfigured) as error:
            text = f"{device} keeps its identity at the broker for now, which {error}"
            self.message_user(request, text, messages.WARNING)


@admin.register(DeviceToken)
class DeviceTokenAdmin(TokenAdmin):
    """Issued by `blink-server create-device` and `rotate-token`."""

    list_display = ["prefix", "device", "created_at", "last_used_at", "revoked_at"]
    list_select_related = ["device"]
    readonly_fields = ["prefix", "device", "created_at", "last_used_at"]
