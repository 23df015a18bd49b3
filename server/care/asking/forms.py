"""Forms of the pages of requests for access."""

from typing import Any, cast

from django import forms
from django.utils.translation import gettext_lazy as _

from server.care.forms import CHOICES, PermissionsForm
from server.care.models import AccessRequest, Permission


class AskForm(PermissionsForm):
    """A new request: person, permissions and an optional message."""

    name = forms.CharField(
        label=_("Name of the person"),
        max_length=AccessRequest.LONGEST_NAME,
        help_text=_("Their user name, or their name exactly as it is shown."),
        widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false"}),
    )
    message = forms.CharField(
        label=_("Message (optional)"),
        max_length=AccessRequest.LONGEST_MESSAGE,
        required=False,
        help_text=_("For example who you are, and what you need it for."),
    )
    field_order = ["name", "may", "message"]

    def clean_may(self) -> list[str]:
        """Require at least one permission."""
        may: list[str] = self.cleaned_data["may"]
        if not may:
            raise forms.ValidationError(_("Choose at least one permission."))
        return may


class AnswerForm(PermissionsForm):
    """The permissions that were asked for."""

    def __init__(self, request: AccessRequest, data: Any = None) -> None:
        asked = [each for each in Permission if each in request.permissions]
        super().__init__(data, prefix=f"request-{request.pk}", initial={"may": asked})
        may = cast(forms.MultipleChoiceField, self.fields["may"])
        may.choices = [each for each in CHOICES if each[0] in asked]
