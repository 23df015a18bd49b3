"""Below the pages of devices."""

from django.urls import path

from server.home_assistant import views

app_name = "home_assistant"
urlpatterns = [path("", views.home_assistant, name="device")]
