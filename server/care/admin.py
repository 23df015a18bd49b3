"""The admin pages of people, links, institutions, the access log and the audit log.

Admins get no access to measurements here: they can't create links, set the password of an existing
account, or see second factors. The server's operator does that with `blink-server`, which records
it in the audit log.
"""

from typing import Any

from django.contrib import admin
from django.contrib.auth.admin import UserAdmin
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse

from server.care import institutions
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
    TokenEnd,
)
from server.care.pages.base import viewer_of
from server.common.admin import AllowListed, LogAdmin, TokenAdmin

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
# What a person may do in the admin site.
RANKS = ("is_staff", "is_superuser", "is_active", "groups", "user_permissions")


@admin.register(Person)
class PersonAdmin(AllowListed, UserAdmin):  # type: ignore[type-arg] # as above
    """Django's user admin with time zone and language, and without the password."""

    list_display = ["username", "first_name", "last_name", "timezone", "is_active", "is_staff"]
    list_filter = ["is_staff", "is_superuser", "is_active"]
    allowed_lookups = ("is_staff__exact", "is_superuser__exact", "is_active__exact")

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        """Show the password fields only for new accounts."""
        if obj is None:
            return super().get_fieldsets(request, obj)
        fieldsets = [
            (name, options | {"fields": [f for f in options["fields"] if f != "password"]})
            for name, options in UserAdmin.fieldsets or ()
        ]
        return [*fieldsets, ("Blinklog", {"fields": ["timezone", "language"]})]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """Let only superusers change what people may do in the admin site."""
        fields = super().get_readonly_fields(request, obj)
        is_superuser = viewer_of(request).is_superuser
        return fields if is_superuser or obj is None else [*fields, *RANKS]

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:  # noqa: ARG002
        """Return False: use `blink-server delete-account`, which also revokes devices and deletes
        sessions."""
        return False

    def user_change_password(self, *_: Any, **__: Any) -> HttpResponse:
        """Raise `PermissionDenied`: an admin who sets a password could log in as that person."""
        raise PermissionDenied

    def save_model(self, request: HttpRequest, obj: Person, form: Any, change: bool) -> None:
        """Save, and record new accounts and everything changed in the person's audit log."""
        super().save_model(request, obj, form, change)
        actor, changed = viewer_of(request), set(form.changed_data)
        if not change:
            note(actor, AuditEvent.SIGN_UP, obj, "in the admin site")
        if ranks := sorted(changed.intersection(RANKS)):
            note(actor, AuditEvent.ROLE_CHANGED, obj, ", ".join(ranks))
        if change and (others := sorted(changed.difference(RANKS))):
            note(actor, AuditEvent.ACCOUNT_CHANGED, obj, ", ".join(others))


@admin.register(CareLink)
class CareLinkAdmin(AllowListed):
    """Links between caregivers and people, which can be viewed and ended."""

    list_display = ["caregiver", "person", "created_at", "ended_at"]
    list_select_related = ["caregiver", "person"]
    search_fields = ["caregiver__username", "person__username"]
    fields = LINK_FIELDS
    readonly_fields = LINK_FIELDS[:-1]

    def has_add_permission(self, request: HttpRequest) -> bool:  # noqa: ARG002
        """Return False: links are created by accepting an invitation."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:  # noqa: ARG002
        """Return False: a link can be ended, and then stays in both people's lists."""
        return False

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:  # noqa: ARG002
        """Make `ended_at` read-only once set, so that an ended link can't be reopened."""
        ended = obj is not None and obj.ended_at is not None
        return LINK_FIELDS if ended else LINK_FIELDS[:-1]

    def save_model(self, request: HttpRequest, obj: CareLink, *_: Any, **__: Any) -> None:
        """End the link if `ended_at` is set, and record it in the person's audit log."""
        if obj.ended_at and obj.end():
            note(viewer_of(request), AuditEvent.LINK_ENDED, obj.person, obj.caregiver.username)


class MembershipInline(admin.TabularInline):  # type: ignore[type-arg] # as above
    """The members of an institution."""

    model = Membership
    extra = 1
    autocomplete_fields = ["person"]


@admin.register(Institution)
class InstitutionAdmin(AllowListed):
    """Institutions: homes, clinics, studies. Who joins or leaves reads it in their audit log."""

    list_display = ["name", "created_at"]
    search_fields = ["name"]
    inlines = [MembershipInline]

    def save_formset(self, request: HttpRequest, form: Any, formset: Any, change: bool) -> None:
        """Save the members, and record each change in the person's audit log."""
        before = institutions.roles(form.instance)
        super().save_formset(request, form, formset, change)
        institutions.note_changes(viewer_of(request), form.instance, before)

    def delete_model(self, request: HttpRequest, obj: Institution) -> None:
        """Let the members leave, then delete the institution."""
        before = institutions.roles(obj)
        obj.memberships.all().delete()
        institutions.note_changes(viewer_of(request), obj, before)
        super().delete_model(request, obj)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Institution]) -> None:
        """Delete several institutions."""
        for institution in queryset:
            self.delete_model(request, institution)


@admin.register(PersonToken)
class PersonTokenAdmin(TokenAdmin):
    """People's API tokens, which logging in to the API issues."""

    list_display = ["prefix", "name", "person", "scope", "last_used_at", "expires_at", "revoked_at"]
    list_select_related = ["person"]
    readonly_fields = [
        "prefix",
        "name",
        "person",
        "scope",
        "created_at",
        "last_used_at",
        "expires_at",
        "ended_why",
    ]

    def save_model(self, request: HttpRequest, obj: PersonToken, *_: Any, **__: Any) -> None:
        """Revoke the token if `revoked_at` is set, and record it in the person's audit log."""
        if obj.revoked_at:
            obj.revoke(TokenEnd.ADMINISTRATOR)
            note(viewer_of(request), AuditEvent.TOKEN_REVOKED, obj.person, obj.label)


@admin.register(AccessLog)
class AccessLogAdmin(LogAdmin):
    """The access log: who looked at whose data."""

    list_display = ["person", "viewer_name", "what", "first_at", "last_at", "views"]
    list_select_related = ["person"]


@admin.register(AuditEntry)
class AuditEntryAdmin(LogAdmin):
    """The audit log."""

    list_display = ["at", "last_at", "count", "event", "actor_name", "subject_name", "detail"]
    list_filter = ["event"]
    allowed_lookups = ("event__exact",)
    search_fields = ["actor_name", "subject_name"]
