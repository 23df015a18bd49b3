"""The URL of the Home Assistant page of a device."""

from django.urls import path

from server.home_assistant import pages

app_name = "home_assistant"
urlpatterns = [
    path("devices/<uuid:device_id>/home-assistant/", pages.home_assistant, name="device"),
]
