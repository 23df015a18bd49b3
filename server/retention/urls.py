"""The pages of one's own data."""

from django.urls import path

from server.retention import views

app_name = "retention"
urlpatterns = [
    path("", views.data, name="data"),
    path("export/", views.export, name="export"),
    path("delete/", views.delete_range, name="delete-range"),
    path("delete/session/<uuid:session_id>/", views.delete_session, name="delete-session"),
    path("delete/account/", views.delete_everything, name="delete-account"),
]
