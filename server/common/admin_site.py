"""The admin site: only our own pages, and no completion of other fields."""

from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse

from server.common.admin import AllowListed


class Site(admin.AdminSite):
    """Takes only pages that are `AllowListed`.

    Pages that other packages register are ignored: they show the secrets of second factors, and
    change the rights of a group's members without an entry in their logs.
    """

    site_header = site_title = "Blinklog"

    def register(
        self, model_or_iterable: Any, admin_class: type[Any] | None = None, **options: Any
    ) -> None:
        """Register an `AllowListed` page; ignore any other."""
        if admin_class is not None and issubclass(admin_class, AllowListed):
            super().register(model_or_iterable, admin_class, **options)

    def autocomplete_view(self, request: HttpRequest) -> HttpResponse:
        """Complete the fields that a page declares. Raises `PermissionDenied` for any other.

        Django completes every relation of every model, registered or not.
        """
        names = ("app_label", "model_name", "field_name")
        if tuple(request.GET.get(name, "") for name in names) not in self._completed():
            raise PermissionDenied
        return super().autocomplete_view(request)

    def _completed(self) -> set[tuple[str, str, str]]:
        pages = [(model, page) for model, page in self._registry.items()]
        pages += [(line.model, line) for _, page in pages for line in page.inlines]  # type: ignore[misc]
        return {
            (model._meta.app_label, str(model._meta.model_name), str(name))
            for model, page in pages
            for name in page.autocomplete_fields
        }
