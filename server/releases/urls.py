"""URL routes of releases."""

from django.urls import include, path, re_path

from server.releases import pages, views

page_patterns = [
    path("devices/<uuid:device_id>/release/install/", pages.install, name="install"),
    path("devices/<uuid:device_id>/release/withdraw/", pages.withdraw, name="withdraw"),
    path("devices/<uuid:device_id>/release/live/", pages.live, name="live"),
]
urlpatterns = [
    path("api/device/release/", views.ReportView.as_view(), name="device-release"),
    path("api/device/release/key/", views.KeyView.as_view(), name="device-release-key"),
    re_path(
        r"^api/device/release/(?P<sha256>[0-9a-f]{64})/$",
        views.ArchiveView.as_view(),
        name="device-release-archive",
    ),
    path(
        "api/device/<uuid:device_id>/release/",
        views.SoftwareView.as_view(),
        name="device-software",
    ),
    path("", include((page_patterns, "releases"))),
]
