"""The form of the export page: it leads to the file at `GET /api/session/export/`."""

from datetime import date
from typing import Any

from django import forms
from django.core.validators import MaxValueValidator, MinValueValidator
from django.http import QueryDict
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from server.care.access import visible_people
from server.care.models import Permission, Person
from server.devices.models import Device
from server.session_data.export.asked import ALL, Form, usual
from server.session_data.export.excel import Decimal
from server.session_data.export.parquet import available

# No user name has this character.
EVERYBODY = "*"
TABLES = (
    ("sessions", gettext_lazy("Sessions")),
    ("days", gettext_lazy("Days")),
    ("minutes", gettext_lazy("Minutes")),
    ("blinks", gettext_lazy("Blinks")),
    ("checks", gettext_lazy("Checks of the counting")),
)
FORMS = (
    (Form.EXCEL, gettext_lazy("CSV for Excel: local time, decimal sign of your region")),
    (Form.CSV, gettext_lazy("CSV: UTC, decimal point, commas")),
    (Form.PARQUET, gettext_lazy("Parquet: typed columns, for pandas, Polars, DuckDB or R")),
    (Form.JSON, "JSON"),
    (Form.FHIR, gettext_lazy("FHIR R4: sessions of one person")),
)
DECIMALS = (
    (Decimal.COMMA, gettext_lazy("Comma: 12,5")),
    (Decimal.POINT, gettext_lazy("Point: 12.5")),
)


# The API takes no others.
FIRST_DAY, LAST_DAY = date(1971, 1, 1), date(2198, 12, 31)


def _day(**texts: Any) -> forms.DateField:
    return forms.DateField(
        **texts,
        required=False,
        validators=[MinValueValidator(FIRST_DAY), MaxValueValidator(LAST_DAY)],
        widget=forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d"),
    )


class ExportForm(forms.Form):
    """What to export, of whom, of which days, and in which format."""

    user = forms.ChoiceField(label=gettext_lazy("Person"))
    of = forms.ChoiceField(label=gettext_lazy("Rows"), choices=TABLES)
    form = forms.ChoiceField(
        label=gettext_lazy("Format"), choices=FORMS, widget=forms.RadioSelect, initial=Form.EXCEL
    )
    decimal = forms.ChoiceField(
        label=gettext_lazy("Decimal mark in Excel"), choices=DECIMALS, required=False
    )
    first = _day(
        label=gettext_lazy("From"),
        help_text=gettext_lazy(
            "Leave empty to begin with the first session (days: 90 days before the end)."
        ),
    )
    last = _day(label=gettext_lazy("To"), help_text=gettext_lazy("Leave empty to end with today."))
    device = forms.ChoiceField(label=gettext_lazy("Device"), required=False)
    pseudonyms = forms.BooleanField(
        label=gettext_lazy("Replace names and device labels by pseudonyms"), required=False
    )

    def __init__(self, viewer: Person, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        people = list(visible_people(viewer, Permission.HISTORY))
        self._choices("user", people_choices(viewer, people))
        if len(people) > 1 and not Device.objects.filter(person=viewer).exists():
            self.fields["user"].initial = EVERYBODY
        self._choices("device", device_choices(viewer, people))
        self.fields["decimal"].initial = usual()
        if not available():
            self._choices("form", [each for each in FORMS if each[0] != Form.PARQUET])
            self.fields["form"].help_text = _("Parquet is missing: this server has no pyarrow.")

    def _choices(self, name: str, choices: list[tuple[Any, Any]]) -> None:
        field = self.fields[name]
        assert isinstance(field, forms.ChoiceField)
        field.choices = choices

    def clean(self) -> dict[str, Any]:
        """Check what doesn't go together."""
        data = super().clean() or {}
        first, last = data.get("first"), data.get("last")
        if first and last and first > last:
            self.add_error("last", _("The first day is after the last."))
        if data.get("of") == "days" and data.get("device"):
            self.add_error("device", _("Days are of all devices."))
        if data.get("form") == Form.FHIR:
            self._clean_fhir(data)
        return data

    def _clean_fhir(self, data: dict[str, Any]) -> None:
        if data.get("of") != "sessions":
            self.add_error("of", _("FHIR has only sessions."))
        if data.get("user") == EVERYBODY:
            self.add_error("user", _("FHIR is for one person."))
        if data.get("pseudonyms"):
            self.add_error("pseudonyms", _("FHIR names the person."))

    def query(self) -> str:
        """Return the query string of the file; the form is valid."""
        data, query = self.cleaned_data, QueryDict(mutable=True)
        asked = {
            "as": data["form"],
            "of": data["of"],
            "user": None if data["user"] == EVERYBODY else data["user"],
            "people": ALL if data["user"] == EVERYBODY else None,
            "device": data["device"],
            "from": data["first"] and data["first"].isoformat(),
            "to": data["last"] and data["last"].isoformat(),
            "names": "pseudonyms" if data["pseudonyms"] else None,
            "decimal": data["decimal"] if data["form"] == Form.EXCEL else None,
        }
        query.update({name: value for name, value in asked.items() if value})
        return query.urlencode()


def people_choices(viewer: Person, people: list[Person]) -> list[tuple[str, str]]:
    """Return the people whose history the viewer may see, the viewer first, and everybody."""
    others = [(each.username, each.label) for each in people if each != viewer]
    everybody = [(EVERYBODY, _("Everybody whose history you may see"))] if others else []
    return [(viewer.username, _("%(name)s (you)") % {"name": viewer.label}), *others, *everybody]


def device_choices(viewer: Person, people: list[Person]) -> list[tuple[str, Any]]:
    """Return the devices of these people, in groups by person, the viewer's own first."""
    theirs: dict[int, list[tuple[str, str]]] = {}
    for each in Device.objects.filter(person__in=people).order_by("label"):
        theirs.setdefault(each.person_id, []).append((str(each.pk), each.label))
    ordered = sorted(people, key=lambda each: (each != viewer, each.label.lower(), each.pk))
    if people == [viewer]:
        return [("", _("All devices")), *theirs.get(viewer.pk, ())]
    groups = [(each.label, theirs[each.pk]) for each in ordered if each.pk in theirs]
    return [("", _("All devices")), *groups]
