"""People, links and looks in the admin site."""

from typing import Any

from django.contrib import admin
from django.contrib.auth.admin import UserAdmin
from django.http import HttpRequest

from server.admin import BaseAdmin, ReadOnlyAdmin, TokenAdmin
from server.care.models import AccessLog, CareLink, Person, PersonToken

admin.site.site_header = admin.site.site_title = "Blinklog"


@admin.register(Person)
class PersonAdmin(UserAdmin):  # type: ignore[type-arg] # generic for the checker alone
    """Django's own, with zone and language."""

    fieldsets = [*(UserAdmin.fieldsets or []), ("Blinklog", {"fields": ["timezone", "language"]})]
    list_display = ["username", "first_name", "last_name", "timezone", "is_active", "is_staff"]


@admin.register(CareLink)
class CareLinkAdmin(BaseAdmin):
    """Who may see whom."""

    list_display = ["caregiver", "person", "created_at", "ended_at"]
    list_select_related = ["caregiver", "person"]
    autocomplete_fields = ["caregiver", "person"]
    search_fields = ["caregiver__username", "person__username"]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:  # noqa: ARG002
        """A link that was made is ended, never turned to other people."""
        return ["created_at"] if obj is None else ["created_at", "caregiver", "person"]


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
