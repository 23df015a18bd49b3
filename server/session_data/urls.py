"""URL routes of sessions, and of the commands that start and stop them."""

from django.urls import path

from server.session_data.activity.views import ActivityView
from server.session_data.batch import BatchView
from server.session_data.commands.views import CommandView, DeviceCommandsView
from server.session_data.export.views import CodebookView, ExportView
from server.session_data.summary.views import SummaryView
from server.session_data.views import EndView, HistoryView, SessionView, StartView
from server.session_data.whose.views import SomebodyElseView

urlpatterns = [
    path("api/session/start/", StartView.as_view(), name="session-start"),
    path("api/session/batch/", BatchView.as_view(), name="session-batch"),
    path("api/session/history/", HistoryView.as_view(), name="session-history"),
    path("api/session/summary/", SummaryView.as_view(), name="session-summary"),
    path("api/session/export/", ExportView.as_view(), name="session-export"),
    path("api/session/export/codebook/", CodebookView.as_view(), name="session-codebook"),
    path("api/session/<uuid:session_id>/", SessionView.as_view(), name="session"),
    path("api/session/<uuid:session_id>/end/", EndView.as_view(), name="session-end"),
    path("api/session/<uuid:session_id>/somebody-else/", SomebodyElseView.as_view()),
    path("api/session/<uuid:session_id>/activity/", ActivityView.as_view()),
    path("api/device/commands/", DeviceCommandsView.as_view(), name="device-commands"),
    path("api/commands/<uuid:command_id>/", CommandView.as_view(), name="command"),
]
