"""Decorators for pages: log-in, allowed methods, no caching. Also helpers for forms."""

from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any, Concatenate, ParamSpec, cast

from django import forms
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods

from server.care.attempts import WAIT_S
from server.care.models import Person
from server.care.pages.kept import kept_form, logged_out

P = ParamSpec("P")
Page = Callable[Concatenate[HttpRequest, P], HttpResponse]
READS = ["GET", "HEAD"]


def form_page(view: Page[P]) -> Page[P]:
    """Decorate a page with a form: log-in required, GET and POST allowed."""
    return _page(view, [*READS, "POST"], is_open=False)


def read_page(view: Page[P]) -> Page[P]:
    """Decorate a read-only page: log-in required, GET allowed."""
    return _page(view, READS, is_open=False)


def action(view: Page[P]) -> Page[P]:
    """Decorate the target of a button: log-in required, POST allowed."""
    return _page(view, ["POST"], is_open=False)


def open_page(view: Page[P]) -> Page[P]:
    """Decorate a page that needs no log-in: GET and POST allowed."""
    return _page(view, [*READS, "POST"], is_open=True)


def _page(view: Page[P], methods: list[str], *, is_open: bool) -> Page[P]:
    @wraps(view)
    def wrapped(request: HttpRequest, *args: P.args, **kwargs: P.kwargs) -> HttpResponse:
        def page() -> HttpResponse:
            return view(request, *args, **kwargs)

        answer = None if is_open else _guard(request, methods, page)
        return answer or page()

    made = wrapped
    made = require_http_methods(methods)(sensitive_post_parameters()(made))
    return cast(Page[P], never_cache(made))


def _guard(
    request: HttpRequest, methods: list[str], page: Callable[[], HttpResponse]
) -> HttpResponse | None:
    """Redirect to the log-in, or offer a form that was kept meanwhile; else return `None`."""
    if request.user.is_authenticated:
        return kept_form(request, page) if request.method == "GET" else None
    if request.method == "POST":
        return logged_out(request, has_page="GET" in methods)
    return redirect_to_login(request.get_full_path())


def with_retry_after(response: HttpResponse) -> HttpResponse:
    """Say when a client that failed too often may try again."""
    response.headers["Retry-After"] = str(WAIT_S)
    return response


def viewer_of(request: HttpRequest) -> Person:
    """Return the person who is logged in."""
    return cast(Person, request.user)


def add_errors(form: forms.Form, error: ValidationError) -> None:
    """Add a model's errors to the form: at their fields, or at the top if it lacks the field."""
    told: Mapping[str, Any]
    told = error.error_dict if hasattr(error, "error_dict") else {"__all__": error.error_list}
    for name, errors in told.items():
        form.add_error(name if name in form.fields else None, errors)
