"""Forms for rules and for notification settings."""

from datetime import time, timedelta
from typing import TYPE_CHECKING, Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from server.alerts.audience import people_told_about
from server.alerts.delivery import apprise
from server.alerts.delivery.ntfy import check_topic
from server.alerts.delivery.outgoing import check_url
from server.alerts.models import Kind, Receiver, Rule
from server.alerts.words import day_names
from server.care.models import Person
from server.common.words import roughly

if TYPE_CHECKING:  # only the type checker needs the generics
    RuleBase = forms.ModelForm[Rule]
    ReceiverBase = forms.ModelForm[Receiver]
    PersonField = forms.ModelChoiceField[Person]
else:
    RuleBase = ReceiverBase = forms.ModelForm
    PersonField = forms.ModelChoiceField

FIELDS = {
    Kind.DEVICE_SILENT: ("minutes",),
    Kind.NO_SESSION: ("by", "weekdays"),
    Kind.LONG_CLOSURES: ("closures", "closure_s"),
    Kind.BLINK_RATE: ("spread",),
    Kind.PERCLOS: ("spread",),
}
# What the form of a new rule begins with.
DEFAULTS: dict[str, dict[str, Any]] = {
    Kind.DEVICE_SILENT: {"minutes": 60},
    Kind.NO_SESSION: {"by": time(12)},
    Kind.LONG_CLOSURES: {"closures": 5},
    Kind.BLINK_RATE: {"spread": 1},
    Kind.PERCLOS: {"spread": 1},
}


# The part of the form that is the same for all kinds.
UNATTENDED = ("remind_minutes", "escalate_minutes", "escalate_to")
# Fields of the notification settings that few people need.
OTHERS = ("ntfy_token", "apprise_url", "webhook_url")
UNATTENDED_MINUTES = (5, 10, 15, 30, 60, 120, 240, 480)


def _spans() -> list[tuple[str, str]]:
    after = [(str(each), roughly(timedelta(minutes=each))) for each in UNATTENDED_MINUTES]
    return [("", str(_("Never"))), *after]


class SpanField(forms.TypedChoiceField):
    """A number of minutes, or never."""

    def __init__(self, label: Any, help_text: Any) -> None:
        super().__init__(
            label=label,
            help_text=help_text,
            choices=_spans,
            coerce=int,
            empty_value=None,
            required=False,
        )


class PersonChoice(PersonField):
    """One person out of a list, by user name, shown by their label."""

    def label_from_instance(self, obj: Person) -> str:
        """Return the name to show."""
        return obj.label


class Weekdays(forms.MultipleChoiceField):
    """Weekdays, stored as a string of ISO digits (1 is Monday)."""

    def __init__(self) -> None:
        super().__init__(
            choices=day_names,
            widget=forms.CheckboxSelectMultiple,
            label=gettext_lazy("On these days"),
        )

    def prepare_value(self, value: Any) -> Any:
        """Split the stored string into one value per checkbox."""
        return list(value) if isinstance(value, str) else value

    def clean(self, value: Any) -> str:
        """Return the chosen digits as a sorted string."""
        return "".join(sorted(super().clean(value)))


class RuleForm(RuleBase):
    """A form with only the fields that the rule's kind needs."""

    weekdays = Weekdays()
    remind_minutes = SpanField(
        gettext_lazy("Remind me again every"),
        gettext_lazy("While the alert is open and nobody is looking after it."),
    )
    escalate_minutes = SpanField(
        gettext_lazy("Notify another person after"),
        gettext_lazy("If nobody is looking after it by then. Their quiet hours apply."),
    )
    escalate_to = PersonChoice(
        queryset=Person.objects.none(),
        to_field_name="username",
        required=False,
        label=gettext_lazy("Person to notify"),
        empty_label=gettext_lazy("Nobody"),
        help_text=gettext_lazy("People who may get alerts about the same person."),
    )
    spread = forms.TypedChoiceField(
        label=gettext_lazy("Sensitivity"),
        coerce=float,
        choices=[
            ("1.0", gettext_lazy("High: outside the usual range")),
            ("1.5", gettext_lazy("Medium: clearly outside it")),
            ("2.0", gettext_lazy("Low: far outside it")),
        ],
        help_text=gettext_lazy(
            "On about 19 of 20 usual days, the value lies within the usual range. The other ranges "
            "are 1.5 times and twice as wide."
        ),
    )

    class Meta:
        model = Rule
        fields = ["minutes", "by", "weekdays", "closures", "closure_s", "spread", *UNATTENDED]
        labels = {
            "minutes": gettext_lazy("Minutes not connected"),
            "by": gettext_lazy("No session by"),
            "closures": gettext_lazy("Long closures in one session, at least"),
            "closure_s": gettext_lazy("Or one closure of at least (seconds)"),
        }
        help_texts = {
            "minutes": gettext_lazy(
                "From 5 minutes to 14 days (20160), counted from when the device was last seen, "
                "also before you save the rule. Time in which the server was off does not count."
            ),
            "by": gettext_lazy("Time of day in the person's time zone."),
            "closures": gettext_lazy("Each half a second or longer. Optional."),
            "closure_s": gettext_lazy("From 0.5 to 60 seconds. Optional."),
        }
        widgets = {"by": forms.TimeInput(format="%H:%M", attrs={"type": "time"})}

    def __init__(self, *args: Any, kind: Kind, **kwargs: Any) -> None:
        if kwargs.get("instance") is None or kwargs["instance"].pk is None:
            kwargs["initial"] = DEFAULTS[kind]
        super().__init__(*args, **kwargs)
        for name in list(self.fields):
            if name not in (*FIELDS[kind], *UNATTENDED):
                del self.fields[name]
        self.kind = kind
        if kind != Kind.LONG_CLOSURES:
            for name in FIELDS[kind]:
                self.fields[name].required = True
        others = people_told_about(self.instance.person).exclude(pk=self.instance.receiver_id)
        self.fields["escalate_to"].queryset = others  # type: ignore[attr-defined]

    def of_kind(self) -> list[forms.BoundField]:
        """Return the fields that only this kind of rule has."""
        return [field for field in self if field.name not in UNATTENDED]

    def unattended(self) -> list[forms.BoundField]:
        """Return the fields about alerts that nobody looks after."""
        return [self[name] for name in UNATTENDED]

    @property
    def has_unattended(self) -> bool:
        """Whether one of those fields is filled in or wrong."""
        return any(field.value() or field.errors for field in self.unattended())

    def clean(self) -> dict[str, Any]:
        """Require at least one limit for long closures."""
        data = super().clean() or {}
        limits = [data.get("closures"), data.get("closure_s")]
        if self.kind == Kind.LONG_CLOSURES and not self.errors and limits == [None, None]:
            raise ValidationError(_("Enter a number of closures, a duration, or both."))
        if not self.errors and bool(data["escalate_minutes"]) != bool(data["escalate_to"]):
            self.add_error("escalate_to", _("Choose both a time and a person, or neither."))
        return data


class ForgottenForm(forms.Form):
    """The user name or e-mail address for a password reset."""

    name = forms.CharField(
        label=gettext_lazy("User name or e-mail address"),
        max_length=254,
        widget=forms.TextInput(
            attrs={"autocomplete": "username", "autocapitalize": "none", "spellcheck": "false"}
        ),
    )


class ReceiverForm(ReceiverBase):
    """The notification settings of one person."""

    class Meta:
        model = Receiver
        fields = [
            "email",
            "ntfy_url",
            "ntfy_token",
            "apprise_url",
            "webhook_url",
            "quiet_from",
            "quiet_until",
        ]
        labels = {
            "email": gettext_lazy("Notify me by e-mail at"),
            "ntfy_url": gettext_lazy("Push to my phone by ntfy"),
            "ntfy_token": gettext_lazy("Access token of this ntfy server"),
            "apprise_url": gettext_lazy("Other services, by Apprise"),
            "webhook_url": gettext_lazy("Webhook"),
            "quiet_from": gettext_lazy("Quiet hours from"),
            "quiet_until": gettext_lazy("Quiet hours until"),
        }
        help_texts = {
            "email": gettext_lazy(
                "Leave empty for no e-mail. A new address must be confirmed first with a link that "
                "is sent to it."
            ),
            "ntfy_url": gettext_lazy(
                "An address with a name of your own, such as "
                "https://ntfy.sh/a-name-that-nobody-guesses. Install the ntfy app on the phone, "
                "press + and enter the same name."
            ),
            "ntfy_token": gettext_lazy("Only if this ntfy server asks for one."),
            "apprise_url": gettext_lazy(
                "For Signal, Telegram, Matrix, text messages and others: an Apprise URL."
            ),
            "webhook_url": gettext_lazy(
                "For programs: each notification is sent to this address as JSON (HTTP POST)."
            ),
            "quiet_until": gettext_lazy(
                "In your time zone. Alerts that are still open when the quiet hours end are sent "
                "then."
            ),
        }
        widgets = {
            "quiet_from": forms.TimeInput(format="%H:%M", attrs={"type": "time"}),
            "quiet_until": forms.TimeInput(format="%H:%M", attrs={"type": "time"}),
            "webhook_url": forms.URLInput(),
            "ntfy_url": forms.URLInput(),
            "ntfy_token": forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false"}),
            "apprise_url": forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false"}),
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if not self.instance.by_email:  # turned off: don't turn it on when the form is saved
            self.initial["email"] = ""
        if not apprise.available():
            del self.fields["apprise_url"]

    def usual(self) -> list[forms.BoundField]:
        """Return the fields that most people need."""
        return [field for field in self if field.name not in OTHERS]

    def others(self) -> list[forms.BoundField]:
        """Return the other fields."""
        return [field for field in self if field.name in OTHERS]

    @property
    def has_others(self) -> bool:
        """Whether one of the other fields is filled in or wrong."""
        return any(field.value() or field.errors for field in self.others())

    @property
    def is_new(self) -> bool:
        """Whether the bound form has a change, or an e-mail address that was never saved."""
        return self.has_changed() or (self.instance.pk is None and bool(self["email"].data))

    def save(self, commit: bool = True) -> Receiver:
        """Save, and turn e-mail on if an address is given, else off."""
        self.instance.by_email = bool(self.cleaned_data["email"])
        return super().save(commit)

    def clean_webhook_url(self) -> str:
        """Reject addresses that the server must not call."""
        address: str = self.cleaned_data["webhook_url"]
        if address:
            check_url(address)
        return address

    def clean_ntfy_url(self) -> str:
        """Reject URLs that are not ntfy topics, and addresses that the server must not call."""
        address: str = self.cleaned_data["ntfy_url"]
        if address:
            check_topic(address)
        return address

    def clean_ntfy_token(self) -> str:
        """Reject tokens that are not valid in an HTTP header."""
        token: str = self.cleaned_data["ntfy_token"]
        if not (token.isascii() and token.isprintable() and " " not in token):
            raise ValidationError(_("The token must not contain spaces or characters such as ä."))
        return token

    def clean_apprise_url(self) -> str:
        """Reject URLs that Apprise does not support."""
        address: str = self.cleaned_data["apprise_url"]
        if address and "apprise_url" in self.changed_data:
            apprise.check_address(address)
        return address

    def clean(self) -> dict[str, Any]:
        """Check fields that depend on each other."""
        data = super().clean() or {}
        if (data.get("quiet_from") is None) != (data.get("quiet_until") is None):
            self.add_error("quiet_until", _("Enter both times or neither."))
        return data
