"""URL routes of reminding."""

from django.urls import include, path

from server.reminding import pages, views

page_patterns = [
    path("devices/<uuid:device_id>/reminding/", pages.reminding, name="device"),
]
urlpatterns = [
    path("api/device/settings/", views.DeviceSettingsView.as_view(), name="device-settings"),
    path("", include((page_patterns, "reminding"))),
]
