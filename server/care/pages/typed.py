"""The labels and words of a form, for what somebody typed into it: read from its page."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from html.parser import HTMLParser

from django.utils.translation import gettext as _

from server.common.words import long_day, weekday_and_day

Fields = Sequence[tuple[str, str]]


@dataclass
class _Control:
    """A field of the form. `words` are those of its choices, by value."""

    kind: str
    id: str
    has_value: bool
    label: str = ""
    words: dict[str, str] = field(default_factory=dict)


class _Form(HTMLParser):
    """The page's heading, and its fields by name."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.heading = ""
        self.controls: dict[str, _Control] = {}
        self._labels: dict[str, str] = {}
        self._inside: dict[str, str] = {}  # open elements with text to keep: what it belongs to
        self._legend = ""
        self._newest: _Control | None = None
        self._option = ""
        self.feed(page)
        for control in self.controls.values():
            control.label = control.label or self._labels.get(control.id, "")

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        told = {name: value or "" for name, value in attrs}
        if tag in ("input", "select", "textarea") and "name" in told:
            self._control(tag, told)
        elif tag == "option" and self._newest:
            self._option = told.get("value", "")
            self._newest.words[self._option] = ""
            self._inside["option"] = self._option
        elif tag == "label":
            self._inside["label"] = told.get("for", "")
        elif tag in ("h1", "legend"):
            self._inside[tag] = ""
            self._legend = "" if tag == "legend" else self._legend

    def handle_endtag(self, tag: str) -> None:
        self._inside.pop(tag, None)
        if tag == "fieldset":
            self._legend = ""

    def handle_data(self, data: str) -> None:
        text = " ".join(data.split())
        if not text:
            return
        if "option" in self._inside and self._newest:
            self._newest.words[self._option] = text
        elif "label" in self._inside:
            key = self._inside["label"]
            self._labels[key] = f"{self._labels.get(key, '')} {text}".strip()
        elif "legend" in self._inside:
            self._legend = text
        elif "h1" in self._inside:
            self.heading = f"{self.heading} {text}".strip()

    def _control(self, tag: str, told: dict[str, str]) -> None:
        kind, key = told.get("type", "text") if tag == "input" else tag, told.get("id", "")
        made = _Control(kind, key, "value" in told)
        control = self._newest = self.controls.setdefault(told["name"], made)
        if "label" in self._inside:
            key = self._inside["label"] = key or f"{told['name']} {told.get('value', '')}"
        if kind in ("radio", "checkbox") and "value" in told:
            control.label = control.label or self._legend
            control.words[told["value"]] = key  # the key of its label, until that is known
        elif not control.id:
            control.id = key

    def words(self, name: str, value: str) -> str:
        """Return a value as the form words it."""
        control = self.controls[name]
        if control.kind in ("radio", "checkbox") and control.has_value:
            return self._labels.get(control.words.get(value, ""), value)
        if control.kind == "checkbox":
            return _("Yes")
        return control.words.get(value, "") or _moment(control.kind, value)


def _moment(kind: str, value: str) -> str:
    """Format a day or a moment as a field for it has it; other text stays."""
    try:
        if kind == "date":
            return long_day(date.fromisoformat(value))
        if kind == "datetime-local":
            moment = datetime.fromisoformat(value)
            return f"{weekday_and_day(moment.date())}, {moment:%H:%M}"
    except ValueError:
        pass
    return value


def in_words(page: str, fields: Fields) -> tuple[str, list[tuple[str, str]]]:
    """Return the heading of a form's page, and the labels and values of what was typed into it.

    Values of one label are joined, boxes that were not ticked are a "No", and hidden fields are
    left out. What the page has no field for keeps its value, without a label.
    """
    form = _Form(page)
    rows: dict[str, list[str]] = {}
    for name, value in fields:
        control = form.controls.get(name)
        if value and (control is None or control.kind != "hidden"):
            label = control.label if control else ""
            rows.setdefault(label, []).append(form.words(name, value) if control else value)
    typed = {name for name, _value in fields}
    for name, control in form.controls.items():
        if control.kind == "checkbox" and not control.has_value and name not in typed:
            rows.setdefault(control.label, []).append(_("No"))
    return form.heading, [(label, ", ".join(values)) for label, values in rows.items()]
