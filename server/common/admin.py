"""Base classes for the admin pages."""

from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.http import HttpRequest

if TYPE_CHECKING:
    ModelAdmin = admin.ModelAdmin[Any]  # generic only for the type checker
else:
    ModelAdmin = admin.ModelAdmin


class AllowListed(ModelAdmin):
    """A page whose URL filters by nothing but `allowed_lookups`.

    Django lets a URL filter by every column. A list that shows no measurements would then tell
    them all the same: `?blink_count__gte=N` finds the number in 20 requests.
    """

    allowed_lookups: tuple[str, ...] = ()

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest | None = None) -> bool:  # noqa: ARG002
        """Return whether the URL may filter by `lookup`; if not, the answer is 400."""
        return lookup in self.allowed_lookups

    def to_field_allowed(self, request: HttpRequest, to_field: str) -> bool:  # noqa: ARG002
        """Return whether the URL may name a row by this column: only by the primary key."""
        return to_field == self.opts.pk.attname


class ReadOnlyAdmin(AllowListed):
    """Objects that can be viewed and deleted, but not added or changed."""

    def has_add_permission(self, request: HttpRequest) -> bool:  # noqa: ARG002
        """Return False: the admin doesn't create these objects."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:  # noqa: ARG002
        """Return False: these objects are records of the past."""
        return False


class LogAdmin(ReadOnlyAdmin):
    """Entries of a log, which can only be viewed."""

    show_full_result_count = False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:  # noqa: ARG002
        """Return False, for superusers too."""
        return False


class TokenAdmin(AllowListed):
    """Tokens, which can only be revoked here. They are issued where the text can be shown once."""

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """Make `revoked_at` read-only once set, so that a revocation can't be undone."""
        fields = super().get_readonly_fields(request, obj)
        return [*fields, "revoked_at"] if obj and obj.revoked_at else fields

    def has_add_permission(self, request: HttpRequest) -> bool:  # noqa: ARG002
        """Return False: the admin could not show the new token's text."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:  # noqa: ARG002
        """Return False: a revoked token stays in the list, so that its end is known."""
        return False
