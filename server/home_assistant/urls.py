"""The address of Home Assistant's page, below a device's."""

from django.urls import path

from server.home_assistant import pages

app_name = "home_assistant"
urlpatterns = [
    path("devices/<uuid:device_id>/home-assistant/", pages.home_assistant, name="device"),
]
