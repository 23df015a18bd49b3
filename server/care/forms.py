"""The forms of the pages of sharing and accounts. What is right is said by the models."""

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from server.care.models import Permission, Person

LONGEST_PASSWORD = 4096
PERMISSION_WORDS = {
    Permission.HISTORY: _("See past sessions"),
    Permission.LIVE: _("See a session under way, and whether the device is on"),
    Permission.CONTROL: _("Start and stop sessions"),
    Permission.ALERTS: _("Be told when something is unusual"),
}
CHOICES = [(each.value, words) for each, words in PERMISSION_WORDS.items()]


def _password(label: Any, autocomplete: str) -> forms.CharField:
    return forms.CharField(
        label=label,
        max_length=LONGEST_PASSWORD,
        strip=False,
        widget=forms.PasswordInput(attrs={"autocomplete": autocomplete}),
    )


class PermissionsForm(forms.Form):
    """Which permissions a caregiver has."""

    may = forms.MultipleChoiceField(
        label=_("What they may do"),
        choices=CHOICES,
        required=False,
        widget=forms.CheckboxSelectMultiple,
    )


class InvitationForm(PermissionsForm):
    """For whom, what they may, and for how long the code works."""

    name = forms.CharField(
        label=_("For whom"),
        max_length=100,
        required=False,
        help_text=_("Only for you, to know later whom you invited."),
    )
    days = forms.TypedChoiceField(
        label=_("The code works for"),
        coerce=int,
        initial=7,
        choices=[(1, _("1 day")), (7, _("7 days")), (30, _("30 days"))],
    )
    field_order = ["name", "may", "days"]


class CodeForm(forms.Form):
    """A code that somebody was given."""

    code = forms.CharField(
        label=_("Code"),
        max_length=64,
        widget=forms.TextInput(
            attrs={"autocomplete": "off", "autocapitalize": "characters", "spellcheck": "false"}
        ),
    )


class NewPasswordForm(forms.Form):
    """A password, twice."""

    password = _password(_("Password"), "new-password")
    again = _password(_("Password again"), "new-password")

    def clean(self) -> dict[str, Any]:
        """Both are the same."""
        cleaned = super().clean() or {}
        if cleaned.get("password") != cleaned.get("again") and not self.errors:
            self.add_error("again", _("The two passwords are not the same."))
        return cleaned


class SignUpForm(NewPasswordForm):
    """A new account."""

    username = forms.CharField(
        label=_("User name"),
        max_length=150,
        help_text=_("Letters, digits and @ . + - _"),
        widget=forms.TextInput(
            attrs={"autocomplete": "username", "autocapitalize": "none", "spellcheck": "false"}
        ),
    )
    name = forms.CharField(
        label=_("Your name, as others see it"),
        max_length=150,
        required=False,
        widget=forms.TextInput(attrs={"autocomplete": "name"}),
    )
    field_order = ["username", "name", "password", "again"]


class ChangePasswordForm(NewPasswordForm):
    """The old one, and a new one twice."""

    old = _password(_("Password until now"), "current-password")
    field_order = ["old", "password", "again"]


class PasswordForm(forms.Form):
    """The password once more, before something that matters."""

    password = _password(_("Your password"), "current-password")


class SecondFactorCodeForm(PasswordForm):
    """What the authenticator shows, and the password: an open browser is not enough."""

    code = forms.CharField(
        label=_("Code that the app shows"),
        max_length=32,
        widget=forms.TextInput(attrs={"autocomplete": "one-time-code", "inputmode": "numeric"}),
    )
    field_order = ["code", "password"]


class ProfileForm(forms.ModelForm):  # type: ignore[type-arg] # generic for the checker alone
    """How others call the person, and in which zone and language they live."""

    class Meta:
        model = Person
        fields = ["first_name", "last_name", "timezone", "language"]
        labels = {
            "first_name": _("First name"),
            "last_name": _("Last name"),
            "timezone": _("Time zone"),
            "language": _("Language"),
        }
        help_texts = {"timezone": _("Such as Europe/Berlin. Your days begin and end by it.")}


class MemberForm(forms.Form):
    """A new account in an institution."""

    username = SignUpForm.base_fields["username"]
    name = forms.CharField(label=_("Name"), max_length=150, required=False)
