"""/api/session/."""

from django.urls import path

from server.session_data.export_views import ExportView
from server.session_data.summary_views import SummaryView
from server.session_data.views import EndView, HistoryView, SessionView, StartView

urlpatterns = [
    path("start/", StartView.as_view(), name="session-start"),
    path("history/", HistoryView.as_view(), name="session-history"),
    path("summary/", SummaryView.as_view(), name="session-summary"),
    path("export/", ExportView.as_view(), name="session-export"),
    path("<uuid:session_id>/", SessionView.as_view(), name="session"),
    path("<uuid:session_id>/end/", EndView.as_view(), name="session-end"),
]
