"""/api/device/."""

from django.urls import path

from server.devices.claim_view import ClaimView

urlpatterns = [path("claim/", ClaimView.as_view(), name="device-claim")]
