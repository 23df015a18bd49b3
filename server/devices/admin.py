"""The admin pages of devices and their tokens."""

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import ImproperlyConfigured
from django.db.models import QuerySet
from django.http import HttpRequest

from server.care.audit import note
from server.care.models import AuditEvent, Person
from server.care.pages.base import viewer_of
from server.common.admin import AllowListed, TokenAdmin
from server.common.mqtt import BrokerError
from server.devices import manage
from server.devices.claim import checked_label
from server.devices.models import Command, Device, DeviceToken


class DeviceForm(forms.ModelForm):  # type: ignore[type-arg] # generic only for the type checker
    """A device with a valid label, and an owner whom `viewer` may make its owner."""

    viewer: Person

    def clean(self) -> dict[str, Any]:
        """Validate the label and the owner as `manage` does."""
        if "label" in self.cleaned_data:
            self.cleaned_data["label"] = checked_label(self.cleaned_data["label"])
        person = self.cleaned_data.get("person")
        if person and "person" in self.changed_data and not self.instance._state.adding:
            manage.check_reassignable(self.viewer, self.instance, person)
        return self.cleaned_data


@admin.register(Device)
class DeviceAdmin(AllowListed):
    """Devices, which can be renamed, reassigned and revoked.

    A reassignment ends the device's credentials. Past sessions still belong to the former person.
    """

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
        """Make `person` read-only for a revoked device."""
        return [*self.readonly_fields, "person"] if obj and obj.revoked_at else self.readonly_fields

    def get_form(
        self, request: HttpRequest, obj: Device | None = None, change: bool = False, **kwargs: Any
    ) -> Any:
        """Return a form class of this request's viewer."""
        form: Any = super().get_form(request, obj, change=change, **kwargs)
        form.viewer = viewer_of(request)
        return form

    def save_model(self, request: HttpRequest, obj: Device, form: Any, change: bool) -> None:
        """Save only the columns changed in the form: the page may have been open for long."""
        if not change:
            super().save_model(request, obj, form, change)
            return
        device = Device.objects.select_related("person").get(pk=obj.pk)
        if "label" in form.changed_data:
            manage.rename(viewer_of(request), device, obj.label)
        if "person" in form.changed_data:
            manage.reassign(viewer_of(request), device, obj.person)

    @admin.action(description="Revoke access to the server and the broker")
    def revoke(self, request: HttpRequest, queryset: QuerySet[Device]) -> None:
        """Revoke the devices; for those revoked before, delete their broker account again."""
        for device in queryset.select_related("person"):
            self._revoke(request, device)

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        """Allow deleting tokens and commands with their device, though not on their own."""
        found, counts, refused, protected = super().get_deleted_objects(objs, request)
        refused -= {model._meta.verbose_name for model in (DeviceToken, Command)}
        return found, counts, refused, protected

    def delete_model(self, request: HttpRequest, obj: Device) -> None:
        """Revoke the device, then delete it."""
        self._revoke(request, obj)
        super().delete_model(request, obj)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Device]) -> None:
        """Revoke the devices, then delete them."""
        for device in queryset:
            self._revoke(request, device)
        super().delete_queryset(request, queryset)

    def _revoke(self, request: HttpRequest, device: Device) -> None:
        try:
            manage.revoke(viewer_of(request), device)
        except (BrokerError, ImproperlyConfigured) as error:
            text = f"{device} still has its account at the broker, because the broker {error}"
            self.message_user(request, text, messages.WARNING)


@admin.register(DeviceToken)
class DeviceTokenAdmin(TokenAdmin):
    """Device tokens, issued by `blink-server create-device` and `rotate-token`."""

    list_display = ["prefix", "device", "created_at", "last_used_at", "revoked_at"]
    list_select_related = ["device"]
    readonly_fields = ["prefix", "device", "created_at", "last_used_at"]

    def save_model(self, request: HttpRequest, obj: DeviceToken, *_: Any, **__: Any) -> None:
        """Revoke the token if `revoked_at` is set, and record it in the person's audit log."""
        if obj.revoked_at:
            obj.revoke()
            detail = f"{obj.device}: {obj.prefix}"
            note(viewer_of(request), AuditEvent.TOKEN_REVOKED, obj.device.person, detail)
