"""URL routes of devices."""

from django.urls import include, path

from server.devices import adding, pages, views

page_patterns = [
    path("devices/", pages.devices, name="devices"),
    path("devices/codes/<int:code_id>/", adding.code, name="code"),
    path("devices/codes/<int:code_id>/live/", adding.code_live, name="code-live"),
    path("devices/codes/<int:code_id>/withdraw/", pages.withdraw_code, name="code-withdraw"),
    path("devices/codes/for/<str:username>/", pages.member_code, name="member-code"),
    path("devices/<uuid:device_id>/", pages.device, name="device"),
    path("devices/<uuid:device_id>/rename/", pages.rename, name="rename"),
    path("devices/<uuid:device_id>/rotate/", pages.rotate, name="rotate"),
    path("devices/<uuid:device_id>/revoke/", pages.revoke, name="revoke"),
    path("devices/<uuid:device_id>/give/", pages.give, name="give"),
]
urlpatterns = [
    path("api/device/", views.DevicesView.as_view(), name="device-list"),
    path("api/device/managed/", views.ManagedDevicesView.as_view(), name="device-managed"),
    path("api/device/claim/", views.ClaimView.as_view(), name="device-claim"),
    path(
        "api/device/authorities/<str:fingerprint>/",
        views.AuthorityView.as_view(),
        name="device-authority",
    ),
    path("api/device/claim-codes/", views.CodesView.as_view(), name="device-codes"),
    path("api/device/<uuid:device_id>/", views.DeviceView.as_view(), name="device"),
    path("api/device/<uuid:device_id>/rotate/", views.RotateView.as_view(), name="device-rotate"),
    path(
        "api/device/<uuid:device_id>/reassign/",
        views.ReassignView.as_view(),
        name="device-reassign",
    ),
    path(
        "api/device/<uuid:device_id>/refused/", views.RefusalsView.as_view(), name="device-refused"
    ),
    path("", include((page_patterns, "devices"))),
]
