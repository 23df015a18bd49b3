"""The caregivers' pages."""

from django.contrib.auth.views import LogoutView
from django.urls import URLPattern, URLResolver, path
from django.views.i18n import set_language

from server.care.login_pages import LogIn
from server.dashboard import control, views

app_name = "dashboard"
urlpatterns: list[URLPattern | URLResolver] = [
    path("", views.people, name="people"),
    path("favicon.ico", views.favicon, name="favicon"),
    path("live/", views.people_live, name="people_live"),
    path("people/<str:username>/", views.person, name="person"),
    path("people/<str:username>/now/", views.person_now, name="person_now"),
    path("people/<str:username>/devices/<uuid:device_id>/start/", control.start, name="start"),
    path("people/<str:username>/sessions/<uuid:session_id>/stop/", control.stop, name="stop"),
    path("sessions/<uuid:session_id>/", views.session, name="session"),
    path("sessions/<uuid:session_id>/live/", views.session_live, name="session_live"),
    path("login/", LogIn.as_view(), name="login"),
    path("logout/", LogoutView.as_view(next_page="dashboard:login"), name="logout"),
    path("language/", set_language, name="set_language"),
]
