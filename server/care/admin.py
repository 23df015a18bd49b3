"""The admin pages of people, links, institutions, the access log and the audit log.

Admins get no access to measurements here: they can't create links, set the password of an existing
account, or see second factors. The server's operator does that with `blink-server`, which records
it in the audit log.
"""

from typing import Any

from django.contrib import admin
from django.contrib.auth.admin import UserAdmin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django_otp.plugins.otp_static import admin as static_admin  # noqa: F401 registers itself
from django_otp.plugins.otp_static.models import StaticDevice
from django_otp.plugins.otp_totp import admin as totp_admin  # noqa: F401 registers itself
from django_otp.plugins.otp_totp.models import TOTPDevice

from server.care.audit import note
from server.care.models import (
    AccessLog,
    AuditEntry,
    AuditEvent,
    CareLink,
    Institution,
    Membership,
    Person,
    PersonToken,
)
from server.common.admin import BaseAdmin, ReadOnlyAdmin, TokenAdmin

LINK_FIELDS = (
    "caregiver",
    "person",
    "may_see_history",
    "may_see_live",
    "may_control",
    "may_get_alerts",
    "created_at",
    "ended_at",
)
admin.site.site_header = admin.site.site_title = "Blinklog"
admin.site.unregister([StaticDevice, TOTPDevice])  # these pages show people's secrets


@admin.register(Person)
class PersonAdmin(UserAdmin):  # type: ignore[type-arg] # generic only for the type checker
    """Django's user admin with time zone and language, and without the password."""

    list_display = ["username", "first_name", "last_name", "timezone", "is_active", "is_staff"]

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        """Show the password fields only for new accounts."""
        if obj is None:
            return super().get_fieldsets(request, obj)
        fieldsets = [
            (name, options | {"fields": [f for f in options["fields"] if f != "password"]})
            for name, options in UserAdmin.fieldsets or ()
        ]
        return [*fieldsets, ("Blinklog", {"fields": ["timezone", "language"]})]

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:  # noqa: ARG002
        """Return False: use `blink-server delete-account`, which also revokes devices and deletes
        sessions."""
        return False

    def user_change_password(self, *_: Any, **__: Any) -> HttpResponse:
        """Raise `PermissionDenied`: an admin who sets a password could log in as that person."""
        raise PermissionDenied

    def save_model(self, request: HttpRequest, obj: Person, form: Any, change: bool) -> None:
        """Save, and record new accounts and changed roles in the audit log."""
        super().save_model(request, obj, form, change)
        actor = request.user if isinstance(request.user, Person) else None
        if not change:
            note(actor, AuditEvent.SIGN_UP, obj, "in the admin site")
        ranks = {"is_staff", "is_superuser", "is_active", "groups", "user_permissions"}
        if changed := sorted(ranks & set(form.changed_data)):
            note(actor, AuditEvent.ROLE_CHANGED, obj, ", ".join(changed))


@admin.register(CareLink)
class CareLinkAdmin(BaseAdmin):
    """Links between caregivers and people, which can be viewed and ended."""

    list_display = ["caregiver", "person", "created_at", "ended_at"]
    list_select_related = ["caregiver", "person"]
    search_fields = ["caregiver__username", "person__username"]
    fields = LINK_FIELDS
    readonly_fields = LINK_FIELDS[:-1]

    def has_add_permission(self, request: HttpRequest) -> bool:  # noqa: ARG002
        """Return False: links are created by accepting an invitation."""
        return False

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:  # noqa: ARG002
        """Make `ended_at` read-only once set, so that an ended link can't be reopened."""
        ended = obj is not None and obj.ended_at is not None
        return LINK_FIELDS if ended else LINK_FIELDS[:-1]

    def save_model(self, request: HttpRequest, obj: CareLink, *_: Any, **__: Any) -> None:
        """End the link if `ended_at` is set, and record it in the person's audit log."""
        if obj.ended_at and obj.end() and isinstance(request.user, Person):
            note(request.user, AuditEvent.LINK_ENDED, obj.person, obj.caregiver.username)


class MembershipInline(admin.TabularInline):  # type: ignore[type-arg] # as above
    """The members of an institution."""

    model = Membership
    extra = 1
    autocomplete_fields = ["person"]


@admin.register(Institution)
class InstitutionAdmin(BaseAdmin):
    """Institutions: homes, clinics, studies."""

    list_display = ["name", "created_at"]
    search_fields = ["name"]
    inlines = [MembershipInline]


@admin.register(PersonToken)
class PersonTokenAdmin(TokenAdmin):
    """People's API tokens, which logging in to the API issues."""

    list_display = ["prefix", "person", "created_at", "last_used_at", "revoked_at"]
    list_select_related = ["person"]
    readonly_fields = ["prefix", "person", "created_at", "last_used_at"]


@admin.register(AccessLog)
class AccessLogAdmin(ReadOnlyAdmin):
    """The access log: who looked at whose data."""

    list_display = ["person", "viewer_name", "what", "first_at", "last_at", "views"]
    list_select_related = ["person"]
    show_full_result_count = False


@admin.register(AuditEntry)
class AuditEntryAdmin(ReadOnlyAdmin):
    """The audit log. Its entries can't be deleted."""

    list_display = ["at", "event", "actor_name", "subject_name", "detail"]
    list_filter = ["event"]
    search_fields = ["actor_name", "subject_name"]
    show_full_result_count = False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:  # noqa: ARG002
        """Return False, for superusers too."""
        return False
