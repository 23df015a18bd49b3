"""/api/device/."""

from django.urls import path

from server.devices import device_views as views
from server.devices.claim_view import ClaimView

urlpatterns = [
    path("", views.DevicesView.as_view(), name="device-list"),
    path("managed/", views.ManagedDevicesView.as_view(), name="device-managed"),
    path("claim/", ClaimView.as_view(), name="device-claim"),
    path("claim-codes/", views.CodesView.as_view(), name="device-codes"),
    path("<uuid:device_id>/", views.DeviceView.as_view(), name="device"),
    path("<uuid:device_id>/rotate/", views.RotateView.as_view(), name="device-rotate"),
    path("<uuid:device_id>/reassign/", views.ReassignView.as_view(), name="device-reassign"),
    path("<uuid:device_id>/refused/", views.RefusalsView.as_view(), name="device-refused"),
]
