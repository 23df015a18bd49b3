"""What the admin pages of this server share."""

from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.http import HttpRequest

if TYPE_CHECKING:
    BaseAdmin = admin.ModelAdmin[Any]  # a generic for the type checker alone
else:
    BaseAdmin = admin.ModelAdmin


class ReadOnlyAdmin(BaseAdmin):
    """To look at, and to delete."""

    def has_add_permission(self, request: HttpRequest) -> bool:  # noqa: ARG002
        """These come from elsewhere."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:  # noqa: ARG002
        """They say what was."""
        return False


class TokenAdmin(BaseAdmin):
    """To revoke. A token is issued where its text can be shown once."""

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """One that is revoked stays so, also where its page was opened before."""
        fields = super().get_readonly_fields(request, obj)
        return [*fields, "revoked_at"] if obj and obj.revoked_at else fields

    def has_add_permission(self, request: HttpRequest) -> bool:  # noqa: ARG002
        """Its text would be lost."""
        return False
