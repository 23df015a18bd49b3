"""URLs of a person's own data."""

from django.urls import path

from server.retention import pages

app_name = "retention"
urlpatterns = [
    path("account/data/", pages.data, name="data"),
    path("account/data/shorten/", pages.shorten, name="shorten"),
    path("account/data/keep/", pages.keep, name="keep"),
    path("account/data/export/", pages.export, name="export"),
    path("account/data/delete/", pages.delete_range, name="delete-range"),
    path(
        "account/data/delete/session/<uuid:session_id>/",
        pages.delete_session,
        name="delete-session",
    ),
    path("account/data/delete/account/", pages.delete_everything, name="delete-account"),
]
