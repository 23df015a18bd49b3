"""Ask for the password again before a change that only its owner may make."""

from typing import Any

from django.http import HttpRequest
from django.utils.translation import gettext as _

from server.care.login import note_failure, too_many_failures
from server.care.pages.base import viewer_of


def knows_password(request: HttpRequest, form: Any, field: str) -> bool:
    """Check the viewer's password in `field`, and add an error to the form if it is wrong.

    Wrong passwords count towards the limit of the log-in.
    """
    person = viewer_of(request)
    if too_many_failures(request, person.username):
        text = _("Too many failed attempts. Please wait 15 minutes, then try again.")
        form.add_error(field, text)
        return False
    if person.check_password(form.cleaned_data[field]):
        return True
    note_failure(request, person.username)
    form.add_error(field, _("Wrong password."))
    return False
