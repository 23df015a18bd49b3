"""URL routes of the server."""

from django.contrib import admin
from django.urls import include, path
from django.views.generic import RedirectView
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView

from server.operations.health import healthz, readyz
from server.operations.metrics_page import metrics


class ApiDocs(SpectacularSwaggerSplitView):
    """The interactive API documentation, without inline scripts: the policy forbids them."""

    url_name = "schema"
    template_name = "api_docs.html"


urlpatterns = [
    path("healthz", healthz, name="healthz"),
    path("readyz", readyz, name="readyz"),
    path("metrics", metrics, name="metrics"),
    path("api/schema/", SpectacularAPIView.as_view(), name="schema"),
    path("api/docs/", ApiDocs.as_view(), name="docs"),
    path("", include("server.care.urls")),
    path("admin/password_change/", RedirectView.as_view(pattern_name="care:password")),
    path("admin/", admin.site.urls),
    path("", include("server.devices.urls")),
    path("", include("server.session_data.urls")),
    path("", include("server.aiming.urls")),
    path("", include("server.reminding.urls")),
    path("", include("server.releases.urls")),
    path("", include("server.home_assistant.urls")),
    path("", include("server.notes.urls")),
    path("", include("server.alerts.urls")),
    path("", include("server.retention.urls")),
    path("", include("server.visit.urls")),
    path("", include("server.dashboard.urls")),
]
handler400 = "server.config.errors.bad_request"
handler404 = "server.config.errors.not_found"
handler500 = "server.config.errors.server_error"
