"""The pages of alerts."""

from django.urls import path

from server.alerts import views

app_name = "alerts"
urlpatterns = [
    path("", views.alerts, name="alerts"),
    path("rules/new/", views.choose, name="choose"),
    path("rules/new/<str:username>/<str:kind>/", views.add, name="add"),
    path("rules/<int:rule_id>/", views.change, name="change"),
    path("rules/<int:rule_id>/remove/", views.remove, name="remove"),
    path("ways/", views.ways, name="ways"),
    path("ways/confirm/", views.confirm, name="confirm"),
]
