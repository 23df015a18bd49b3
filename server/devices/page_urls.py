"""The pages of devices."""

from django.urls import path

from server.devices import pages

app_name = "devices"
urlpatterns = [
    path("", pages.devices, name="devices"),
    path("codes/<int:code_id>/withdraw/", pages.withdraw_code, name="code-withdraw"),
    path("codes/for/<str:username>/", pages.member_code, name="member-code"),
    path("<uuid:device_id>/", pages.device, name="device"),
    path("<uuid:device_id>/rename/", pages.rename, name="rename"),
    path("<uuid:device_id>/rotate/", pages.rotate, name="rotate"),
    path("<uuid:device_id>/revoke/", pages.revoke, name="revoke"),
    path("<uuid:device_id>/give/", pages.give, name="give"),
]
