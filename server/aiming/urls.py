"""URL routes of aiming."""

from django.urls import include, path

from server.aiming import checking, pages, views

page_patterns = [
    path("devices/<uuid:device_id>/aim/", pages.aim, name="aim"),
    path("devices/<uuid:device_id>/check/", checking.check, name="check"),
    path("devices/<uuid:device_id>/check/live/", checking.check_live, name="check-live"),
    path("devices/<uuid:device_id>/aim/view/", pages.view, name="view"),
]
urlpatterns = [
    path("api/device/aim/", views.AimView.as_view(), name="device-aim"),
    path("", include((page_patterns, "aiming"))),
]
