"""Forms: a rule of each kind, and how one is told."""

from datetime import time
from typing import TYPE_CHECKING, Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from server.alerts.models import Kind, Receiver, Rule
from server.alerts.webhook import check_url
from server.alerts.words import day_names

if TYPE_CHECKING:  # generics for the type checker alone
    RuleBase = forms.ModelForm[Rule]
    ReceiverBase = forms.ModelForm[Receiver]
else:
    RuleBase = ReceiverBase = forms.ModelForm

FIELDS = {
    Kind.DEVICE_SILENT: ("minutes",),
    Kind.NO_SESSION: ("by", "weekdays"),
    Kind.LONG_CLOSURES: ("closures", "closure_s"),
    Kind.BLINK_RATE: ("spread",),
    Kind.PERCLOS: ("spread",),
}
FIRST: dict[str, dict[str, Any]] = {
    Kind.DEVICE_SILENT: {"minutes": 60},
    Kind.NO_SESSION: {"by": time(12)},
    Kind.LONG_CLOSURES: {"closures": 5},
    Kind.BLINK_RATE: {"spread": 2},
    Kind.PERCLOS: {"spread": 2},
}


class Weekdays(forms.MultipleChoiceField):
    """ISO digits, kept as one text."""

    def __init__(self) -> None:
        super().__init__(
            choices=day_names,
            widget=forms.CheckboxSelectMultiple,
            label=gettext_lazy("On these days"),
        )

    def prepare_value(self, value: Any) -> Any:
        """One box each."""
        return list(value) if isinstance(value, str) else value

    def clean(self, value: Any) -> str:
        """In their order."""
        return "".join(sorted(super().clean(value)))


class RuleForm(RuleBase):
    """What the rule's kind needs and nothing else."""

    weekdays = Weekdays()

    class Meta:
        model = Rule
        fields = ["minutes", "by", "weekdays", "closures", "closure_s", "spread"]
        labels = {
            "minutes": gettext_lazy("Minutes of silence"),
            "by": gettext_lazy("By"),
            "closures": gettext_lazy("So many long closures in one session"),
            "closure_s": gettext_lazy("Or one of so many seconds"),
            "spread": gettext_lazy("Interquartile ranges from the median"),
        }
        help_texts = {
            "minutes": gettext_lazy("From 5 minutes to 14 days (20160)."),
            "by": gettext_lazy("Time of day where the person lives."),
            "closures": gettext_lazy("Half a second or longer each. May be empty."),
            "closure_s": gettext_lazy("From 0.5 to 60 seconds. May be empty."),
            "spread": gettext_lazy("From 1 to 10. At 2, most sessions of most people lie within."),
        }
        widgets = {"by": forms.TimeInput(format="%H:%M", attrs={"type": "time"})}

    def __init__(self, *args: Any, kind: Kind, **kwargs: Any) -> None:
        if kwargs.get("instance") is None or kwargs["instance"].pk is None:
            kwargs["initial"] = FIRST[kind]
        super().__init__(*args, **kwargs)
        for name in list(self.fields):
            if name not in FIELDS[kind]:
                del self.fields[name]
        self.kind = kind
        if kind != Kind.LONG_CLOSURES:
            for field in self.fields.values():
                field.required = True

    def clean(self) -> dict[str, Any]:
        """Long closures need one limit at least."""
        data = super().clean() or {}
        limits = [data.get("closures"), data.get("closure_s")]
        if self.kind == Kind.LONG_CLOSURES and not self.errors and limits == [None, None]:
            raise ValidationError(_("Give a number of closures, a length, or both."))
        return data


class ReceiverForm(ReceiverBase):
    """How one is told."""

    class Meta:
        model = Receiver
        fields = ["by_email", "email", "webhook_url", "quiet_from", "quiet_until"]
        labels = {
            "by_email": gettext_lazy("Tell me by e-mail"),
            "email": gettext_lazy("E-mail address"),
            "webhook_url": gettext_lazy("Webhook"),
            "quiet_from": gettext_lazy("Quiet from"),
            "quiet_until": gettext_lazy("Quiet until"),
        }
        help_texts = {
            "email": gettext_lazy("A new address gets a link first, which confirms it."),
            "webhook_url": gettext_lazy("For programs: each notice is posted there as JSON."),
            "quiet_until": gettext_lazy(
                "In your own time zone. What is still open afterwards is told then."
            ),
        }
        widgets = {
            "quiet_from": forms.TimeInput(format="%H:%M", attrs={"type": "time"}),
            "quiet_until": forms.TimeInput(format="%H:%M", attrs={"type": "time"}),
            "webhook_url": forms.URLInput(),
        }

    def clean_webhook_url(self) -> str:
        """Somewhere that may be called."""
        address: str = self.cleaned_data["webhook_url"]
        if address:
            check_url(address)
        return address

    def clean(self) -> dict[str, Any]:
        """What belongs together."""
        data = super().clean() or {}
        if data.get("by_email") and not data.get("email"):
            self.add_error("email", _("Needed to tell you by e-mail."))
        if (data.get("quiet_from") is None) != (data.get("quiet_until") is None):
            self.add_error("quiet_until", _("Give both times, or none."))
        return data
