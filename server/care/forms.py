"""Forms of the sharing and account pages. The models validate the values."""

from typing import Any, cast

from django import forms
from django.conf import settings
from django.utils.translation import get_language
from django.utils.translation import gettext_lazy as _

from server.care.models import Invitation, Permission, Person, PersonToken, TokenScope
from server.common.days import zone_choices

LONGEST_PASSWORD = 4096
PERMISSION_WORDS = {
    Permission.HISTORY: _("See past sessions"),
    Permission.LIVE: _(
        "See running sessions and whether the device is connected, and aim the camera"
    ),
    Permission.CONTROL: _("Start and stop sessions"),
    Permission.ALERTS: _("Get alerts, and see who else gets them"),
}
ZONE_HELP = _("It determines when your days begin and end, and your quiet hours.")
CHOICES = [(each.value, words) for each, words in PERMISSION_WORDS.items()]


def _password(label: Any, autocomplete: str) -> forms.CharField:
    return forms.CharField(
        label=label,
        max_length=LONGEST_PASSWORD,
        strip=False,
        widget=forms.PasswordInput(attrs={"autocomplete": autocomplete}),
    )


class PermissionsForm(forms.Form):
    """The permissions of a caregiver."""

    may = forms.MultipleChoiceField(
        label=_("Permissions"),
        choices=CHOICES,
        required=False,
        widget=forms.CheckboxSelectMultiple,
    )


class InvitationForm(PermissionsForm):
    """A new invitation: the name of the invited person, the permissions and the validity."""

    name = forms.CharField(
        label=_("Who is it for?"),
        max_length=100,
        required=False,
        help_text=_("Only you see this. It tells you later who you invited."),
    )
    days = forms.TypedChoiceField(
        label=_("Code valid for"),
        coerce=int,
        initial=Invitation.LIFE.days,
        # They include `Invitation.LIFE`; none is longer than `Invitation.LONGEST_LIFE`.
        choices=[(1, _("1 day")), (7, _("7 days")), (30, _("30 days"))],
    )
    field_order = ["name", "may", "days"]


class CodeForm(forms.Form):
    """An invitation or activation code."""

    code = forms.CharField(
        label=_("Code"),
        max_length=64,
        widget=forms.TextInput(
            attrs={"autocomplete": "off", "autocapitalize": "characters", "spellcheck": "false"}
        ),
    )


class NewPasswordForm(forms.Form):
    """A new password, entered twice."""

    password = _password(_("Password"), "new-password")
    again = _password(_("Repeat password"), "new-password")

    def clean(self) -> dict[str, Any]:
        """Check that both passwords match."""
        cleaned = super().clean() or {}
        if cleaned.get("password") != cleaned.get("again") and not self.errors:
            self.add_error("again", _("The passwords do not match."))
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
        label=_("Your name, shown to others"),
        max_length=150,
        required=False,
        widget=forms.TextInput(attrs={"autocomplete": "name"}),
    )
    timezone = forms.ChoiceField(
        label=_("Time zone"),
        choices=zone_choices,
        required=False,
        help_text=ZONE_HELP,
        widget=forms.Select(attrs={"data-browser-zone": True}),
    )
    field_order = ["username", "name", "timezone", "password", "again"]


class ChangePasswordForm(NewPasswordForm):
    """The current password, and a new one entered twice."""

    old = _password(_("Current password"), "current-password")
    field_order = ["old", "password", "again"]


class PasswordForm(forms.Form):
    """The current password, to confirm a sensitive action."""

    password = _password(_("Your password"), "current-password")


class AppForm(PasswordForm):
    """A new API token: the app's name, what it may do, and how long it is valid."""

    name = forms.CharField(
        label=_("Name"),
        max_length=PersonToken.LONGEST_NAME,
        help_text=_("For example the app or the device that uses the token."),
    )
    scope = forms.ChoiceField(
        label=_("Access"), choices=TokenScope.choices, initial=TokenScope.READ.value
    )
    days = forms.TypedChoiceField(
        label=_("Valid for"),
        coerce=int,
        initial=90,
        # None is longer than `LONGEST_TOKEN_LIFE`.
        choices=[(30, _("30 days")), (90, _("90 days")), (365, _("One year"))],
    )
    field_order = ["name", "scope", "days", "password"]


class SecondFactorCodeForm(PasswordForm):
    """The authenticator's code and the password, so that an unattended browser is not enough."""

    code = forms.CharField(
        label=_("Code from the app"),
        max_length=32,
        widget=forms.TextInput(attrs={"autocomplete": "one-time-code", "inputmode": "numeric"}),
    )
    field_order = ["code", "password"]


class ProfileForm(forms.ModelForm):  # type: ignore[type-arg] # generic only for the type checker
    """The person's name, time zone and language."""

    timezone = forms.ChoiceField(label=_("Time zone"), help_text=ZONE_HELP)
    language = forms.ChoiceField(
        label=_("Language"),
        choices=settings.LANGUAGES,
        help_text=_("Of pages and e-mails, in every browser."),
    )

    class Meta:
        model = Person
        fields = ["first_name", "last_name", "timezone", "language"]
        labels = {
            "first_name": _("First name"),
            "last_name": _("Last name"),
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        zones = cast(forms.ChoiceField, self.fields["timezone"])
        zones.choices = zone_choices(self.instance.timezone)
        self.initial["language"] = self.instance.language or get_language()


class MemberForm(forms.Form):
    """A new account in an institution."""

    username = SignUpForm.base_fields["username"]
    name = forms.CharField(label=_("Name"), max_length=150, required=False)
