"""URLs of the dashboard."""

from django.urls import URLPattern, URLResolver, path

from server.care.pages import language
from server.care.pages.login import LogIn, LogOut
from server.dashboard import pages
from server.dashboard.installable import pages as installable
from server.dashboard.noted import pages as noted

app_name = "dashboard"
urlpatterns: list[URLPattern | URLResolver] = [
    path("", pages.people, name="people"),
    path("favicon.ico", pages.favicon, name="favicon"),
    path("app.webmanifest", installable.manifest, name="manifest"),
    path("service-worker.js", installable.service_worker, name="service-worker"),
    path("offline/", installable.offline, name="offline"),
    path("help/", pages.help_page, name="help"),
    path("live/", pages.people_live, name="people_live"),
    path("people/<str:username>/", pages.person, name="person"),
    path("people/<str:username>/now/", pages.person_now, name="person_now"),
    path("people/<str:username>/devices/<uuid:device_id>/start/", pages.start, name="start"),
    path("people/<str:username>/sessions/<uuid:session_id>/stop/", pages.stop, name="stop"),
    path("sessions/<uuid:session_id>/", pages.session, name="session"),
    path("sessions/<uuid:session_id>/whose/", pages.whose, name="whose"),
    path("sessions/<uuid:session_id>/activity/", pages.activity, name="activity"),
    path("sessions/<uuid:session_id>/live/", pages.session_live, name="session_live"),
    path("notes/<uuid:note_id>/before-after/", noted.before_after, name="before-after"),
    path("export/", pages.export, name="export"),
    path("export/definitions/", pages.definitions, name="definitions"),
    path("login/", LogIn.as_view(), name="login"),
    path("logout/", LogOut.as_view(next_page="dashboard:login"), name="logout"),
    path("language/", language.choose, name="set_language"),
]
