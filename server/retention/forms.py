"""Forms for the retention time and for the days to delete."""

from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from server.retention.models import Retention


class RetentionForm(forms.Form):
    """The retention time in days; empty means forever."""

    days = forms.IntegerField(
        label=gettext_lazy("Days"),
        required=False,
        min_value=Retention.LEAST,
        max_value=Retention.MOST,
        help_text=gettext_lazy("At least 7. Leave empty to keep sessions forever."),
    )


class RangeForm(forms.Form):
    """A range of local days, including the first and the last."""

    first = forms.DateField(
        label=gettext_lazy("From"), widget=forms.DateInput(attrs={"type": "date"})
    )
    last = forms.DateField(label=gettext_lazy("To"), widget=forms.DateInput(attrs={"type": "date"}))

    def clean(self) -> dict[str, Any]:
        """Check the order of the days."""
        data = super().clean() or {}
        first, last = data.get("first"), data.get("last")
        if first and last and first > last:
            raise ValidationError(_("The first day is after the last."))
        return data
