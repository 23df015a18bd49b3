"""People, links, institutions and both logs in the admin site.

Rank opens nothing here either: nobody is linked to anybody, no password that is in use is set, and
no second factor is seen. Who administers the server does that from its shell, where it is noted.
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
admin.site.unregister([StaticDevice, TOTPDevice])  # they show what only their person may know


@admin.register(Person)
class PersonAdmin(UserAdmin):  # type: ignore[type-arg] # generic for the checker alone
    """Django's own, with zone and language, and without the password."""

    list_display = ["username", "first_name", "last_name", "timezone", "is_active", "is_staff"]

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        """A new account gets a password; one that there is has its own."""
        if obj is None:
            return super().get_fieldsets(request, obj)
        fieldsets = [
            (name, options | {"fields": [f for f in options["fields"] if f != "password"]})
            for name, options in UserAdmin.fieldsets or ()
        ]
        return [*fieldsets, ("Blinklog", {"fields": ["timezone", "language"]})]

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:  # noqa: ARG002
        """Devices have to be shut out first and sessions buried: `blink-server delete-account`."""
        return False

    def user_change_password(self, *_: Any, **__: Any) -> HttpResponse:
        """Whoever sets a password can log in with it, and see."""
        raise PermissionDenied

    def save_model(self, request: HttpRequest, obj: Person, form: Any, change: bool) -> None:
        """Who made an account, and who gave or took a rank, is noted."""
        super().save_model(request, obj, form, change)
        actor = request.user if isinstance(request.user, Person) else None
        if not change:
            note(actor, AuditEvent.SIGN_UP, obj, "in the admin site")
        ranks = {"is_staff", "is_superuser", "is_active", "groups", "user_permissions"}
        if changed := sorted(ranks & set(form.changed_data)):
            note(actor, AuditEvent.ROLE_CHANGED, obj, ", ".join(changed))


@admin.register(CareLink)
class CareLinkAdmin(BaseAdmin):
    """Who may see whom: to look at, and to end."""

    list_display = ["caregiver", "person", "created_at", "ended_at"]
    list_select_related = ["caregiver", "person"]
    search_fields = ["caregiver__username", "person__username"]
    fields = LINK_FIELDS
    readonly_fields = LINK_FIELDS[:-1]

    def has_add_permission(self, request: HttpRequest) -> bool:  # noqa: ARG002
        """A link comes from an invitation that was accepted."""
        return False

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:  # noqa: ARG002
        """One that has ended stays so."""
        ended = obj is not None and obj.ended_at is not None
        return LINK_FIELDS if ended else LINK_FIELDS[:-1]

    def save_model(self, request: HttpRequest, obj: CareLink, *_: Any, **__: Any) -> None:
        """Its person is told."""
        if obj.ended_at and obj.end() and isinstance(request.user, Person):
            note(request.user, AuditEvent.LINK_ENDED, obj.person, obj.caregiver.username)


class MembershipInline(admin.TabularInline):  # type: ignore[type-arg] # as above
    """Who belongs to it."""

    model = Membership
    extra = 1
    autocomplete_fields = ["person"]


@admin.register(Institution)
class InstitutionAdmin(BaseAdmin):
    """Homes, clinics, studies."""

    list_display = ["name", "created_at"]
    search_fields = ["name"]
    inlines = [MembershipInline]


@admin.register(PersonToken)
class PersonTokenAdmin(TokenAdmin):
    """Issued by logging in."""

    list_display = ["prefix", "person", "created_at", "last_used_at", "revoked_at"]
    list_select_related = ["person"]
    readonly_fields = ["prefix", "person", "created_at", "last_used_at"]


@admin.register(AccessLog)
class AccessLogAdmin(ReadOnlyAdmin):
    """Who looked at whom."""

    list_display = ["person", "viewer_name", "what", "first_at", "last_at", "views"]
    list_select_related = ["person"]
    show_full_result_count = False


@admin.register(AuditEntry)
class AuditEntryAdmin(ReadOnlyAdmin):
    """Who did what. Nobody takes anything out of it."""

    list_display = ["at", "event", "actor_name", "subject_name", "detail"]
    list_filter = ["event"]
    search_fields = ["actor_name", "subject_name"]
    show_full_result_count = False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:  # noqa: ARG002
        """Not even who administers it."""
        return False
