"""The language of pages: the person's, wherever they log in. Mails use the same setting."""

from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.utils import translation
from django.views.decorators.http import require_POST
from django.views.i18n import LANGUAGE_QUERY_PARAMETER, set_language

from server.care.models import Person


class PersonLanguage:
    """Middleware: a person who is logged in gets their own language, not the browser's."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        language = getattr(request.user, "language", "")
        if language:
            translation.activate(language)
            request.LANGUAGE_CODE = translation.get_language() or language
        return self.get_response(request)


@require_POST
def choose(request: HttpRequest) -> HttpResponse:
    """Save the language of a person who is logged in, else the browser's, and go back."""
    language = request.POST.get(LANGUAGE_QUERY_PARAMETER, "")
    if request.user.is_authenticated and language in dict(settings.LANGUAGES):
        Person.objects.filter(pk=request.user.pk).update(language=language)
    return set_language(request)


def settle(person: Person) -> None:
    """At log-in: whoever has no language yet gets the one of this page."""
    current = translation.get_language() or ""
    if not person.language and current in dict(settings.LANGUAGES):
        person.language = current
        person.save(update_fields=["language"])
