"""Ask for the password again before a change that only its owner may make."""

from typing import Any

from django.http import HttpRequest
from django.utils.translation import gettext as _

from server.care import attempts
from server.care.pages.base import viewer_of

MOST_WRONG = 10  # within `attempts.WINDOW`


def knows_password(request: HttpRequest, form: Any, field: str) -> bool:
    """Check the viewer's password in `field`, and add an error to the form if it is wrong.

    The limit is separate from that of the log-in: only people who are logged in count towards it.
    """
    person = viewer_of(request)
    try:
        attempt = attempts.begin({f"confirm password\0{person.pk}": MOST_WRONG})
    except attempts.TooManyError:
        text = _("Too many failed attempts. Please wait 15 minutes, then try again.")
        form.add_error(field, text)
        return False
    if person.check_password(form.cleaned_data[field]):
        attempt.forget()
        return True
    form.add_error(field, _("Wrong password."))
    return False
