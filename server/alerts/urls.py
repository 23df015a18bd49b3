"""URLs of the alerts."""

from django.urls import include, path

from server.alerts import pages, receiving, recovery
from server.alerts.handling import pages as handling
from server.alerts.handling.views import (
    AcknowledgeView,
    GiveBackView,
    HandOverView,
    SnoozeView,
)
from server.alerts.views import AlertsView

page_patterns = [
    path("alerts/", pages.alerts, name="alerts"),
    path("alerts/<int:alert_id>/acknowledge/", handling.acknowledge, name="acknowledge"),
    path("alerts/<int:alert_id>/give-back/", handling.give_back, name="give-back"),
    path("alerts/<int:alert_id>/snooze/", handling.snooze, name="snooze"),
    path("alerts/<int:alert_id>/hand-over/", handling.hand_over, name="hand-over"),
    path("alerts/link/<str:token>/", handling.by_link, name="by-link"),
    path("alerts/rules/new/", pages.choose, name="choose"),
    path("alerts/rules/new/<str:username>/<str:kind>/", pages.add, name="add"),
    path("alerts/rules/<int:rule_id>/", pages.change, name="change"),
    path("alerts/rules/<int:rule_id>/remove/", pages.remove, name="remove"),
    path("alerts/ways/", receiving.ways, name="ways"),
    path("alerts/ways/test/", receiving.send_test, name="test"),
    path("alerts/ways/confirm/", receiving.confirm, name="confirm"),
    path("login/forgotten/", recovery.forgotten, name="forgotten"),
    path("login/reset/<int:person_id>/<str:token>/", recovery.reset, name="reset"),
]
urlpatterns = [
    path("api/alerts/", AlertsView.as_view(), name="api-alerts"),
    path("api/alerts/<int:alert_id>/acknowledge/", AcknowledgeView.as_view()),
    path("api/alerts/<int:alert_id>/give-back/", GiveBackView.as_view()),
    path("api/alerts/<int:alert_id>/snooze/", SnoozeView.as_view()),
    path("api/alerts/<int:alert_id>/hand-over/", HandOverView.as_view()),
    path("", include((page_patterns, "alerts"))),
]
