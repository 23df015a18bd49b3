"""What makes the pages an app that a phone can install: manifest, service worker, offline page."""

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.templatetags.static import static
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

ICONS = ((192, "any"), (512, "any"), (512, "maskable"))


@require_safe
def manifest(request: HttpRequest) -> HttpResponse:  # noqa: ARG001
    """Return the web app manifest, in the language of the request."""
    icons = [
        {
            "src": static(f"dashboard/app-{size}.png"),
            "sizes": f"{size}x{size}",
            "type": "image/png",
            "purpose": purpose,
        }
        for size, purpose in ICONS
    ]
    told = {
        "name": "Blinklog",
        "short_name": "Blinklog",
        "description": _("Blinks, measured at home"),
        "id": "/",
        "start_url": "/",
        "scope": "/",
        "display": "standalone",
        "background_color": "#f6f5f1",
        "theme_color": "#f6f5f1",
        "icons": icons,
    }
    return JsonResponse(told, content_type="application/manifest+json")


@require_safe
def service_worker(request: HttpRequest) -> HttpResponse:
    """Return the service worker. It is at the top, because it serves all pages."""
    names = ("blinklog.css", "measured.css", "page.js", "app.js", "icon.svg")
    shell = [static(f"dashboard/{name}") for name in names]
    return render(
        request,
        "dashboard/service-worker.js",
        {"shell": shell},
        content_type="text/javascript; charset=utf-8",
    )


@require_safe
def offline(request: HttpRequest) -> HttpResponse:
    """Show that there is no connection. The service worker keeps this page."""
    return render(request, "dashboard/offline.html")
