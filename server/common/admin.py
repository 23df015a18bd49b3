"""Base classes for the admin pages."""

from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.http import HttpRequest

if TYPE_CHECKING:
    BaseAdmin = admin.ModelAdmin[Any]  # generic only for the type checker
else:
    BaseAdmin = admin.ModelAdmin


class ReadOnlyAdmin(BaseAdmin):
    """Objects that can be viewed and deleted, but not added or changed."""

    def has_add_permission(self, request: HttpRequest) -> bool:  # noqa: ARG002
        """Return False: the admin doesn't create these objects."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:  # noqa: ARG002
        """Return False: these objects are records of the past."""
        return False


class TokenAdmin(BaseAdmin):
    """Tokens, which can only be revoked here. They are issued where the text can be shown once."""

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """Make `revoked_at` read-only once set, so that a revocation can't be undone."""
        fields = super().get_readonly_fields(request, obj)
        return [*fields, "revoked_at"] if obj and obj.revoked_at else fields

    def has_add_permission(self, request: HttpRequest) -> bool:  # noqa: ARG002
        """Return False: the admin could not show the new token's text."""
        return False
