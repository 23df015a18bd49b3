"""Every address of the server."""

from django.contrib import admin
from django.urls import include, path
from django.views.generic import RedirectView
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView

from server.alerts.api import AlertsView
from server.care.login_pages import admin_login
from server.care.sharing_views import (
    AcceptView,
    AuditLogView,
    InvitationsView,
    InvitationView,
    LinksView,
    LinkView,
)
from server.care.views import AccessLogView, PeopleView, TokenView
from server.operations.health import healthz, readyz
from server.operations.metrics_page import metrics
from server.session_data.command_views import CommandView


class ApiDocs(SpectacularSwaggerSplitView):
    """The API's description to read and try, with scripts and styles of their own addresses."""

    url_name = "schema"
    template_name = "api_docs.html"


urlpatterns = [
    path("healthz", healthz, name="healthz"),
    path("readyz", readyz, name="readyz"),
    path("metrics", metrics, name="metrics"),
    path("api/auth/token/", TokenView.as_view(), name="token"),
    path("api/people/", PeopleView.as_view(), name="people"),
    path("api/invitations/", InvitationsView.as_view(), name="api-invitations"),
    path("api/invitations/accept/", AcceptView.as_view(), name="api-invitation-accept"),
    path("api/invitations/<int:invitation_id>/", InvitationView.as_view(), name="api-invitation"),
    path("api/links/", LinksView.as_view(), name="api-links"),
    path("api/links/<int:link_id>/", LinkView.as_view(), name="api-link"),
    path("api/audit-log/", AuditLogView.as_view(), name="api-audit-log"),
    path("api/access-log/", AccessLogView.as_view(), name="access-log"),
    path("api/alerts/", AlertsView.as_view(), name="api-alerts"),
    path("api/commands/<uuid:command_id>/", CommandView.as_view(), name="command"),
    path("api/device/", include("server.devices.urls")),
    path("api/session/", include("server.session_data.urls")),
    path("api/schema/", SpectacularAPIView.as_view(), name="schema"),
    path("api/docs/", ApiDocs.as_view(), name="docs"),
    path("admin/login/", admin_login, name="admin-login"),
    path("admin/password_change/", RedirectView.as_view(pattern_name="care:password")),
    path("admin/", admin.site.urls),
    path("devices/<uuid:device_id>/home-assistant/", include("server.home_assistant.urls")),
    path("alerts/", include("server.alerts.urls")),
    path("account/data/", include("server.retention.urls")),
    path("devices/", include("server.devices.page_urls")),
    path("", include("server.care.urls")),
    path("", include("server.dashboard.urls")),
]
handler404 = "server.config.errors.not_found"
handler500 = "server.config.errors.server_error"
