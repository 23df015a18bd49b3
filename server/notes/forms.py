"""The form of a note."""

from datetime import UTC, datetime, tzinfo
from typing import Any

from django import forms
from django.utils import timezone
from django.utils.translation import gettext_lazy

from server.care.models import Person
from server.notes.models import Kind, Note
from server.session_data.models import SessionData

FORMAT = "%Y-%m-%dT%H:%M"


class LocalMoment(forms.DateTimeField):
    """A date and time in `zone`. If it occurs twice, as summer time ends, it means the first."""

    zone: tzinfo = UTC

    def to_python(self, value: Any) -> datetime | None:
        """Return the moment."""
        with timezone.override(UTC):
            found = super().to_python(value)
        return found.replace(tzinfo=self.zone) if found else None


class NoteForm(forms.Form):
    """A note. Only the person's own notes have the field `shared`."""

    kind = forms.ChoiceField(
        label=gettext_lazy("Kind"),
        choices=[
            (Kind.MEDICINE, Kind.MEDICINE.label),
            (Kind.DROPS, Kind.DROPS.label),
            (Kind.BAD_SLEEP, Kind.BAD_SLEEP.label),
            (Kind.TEXT, gettext_lazy("Something else")),
        ],
    )
    at = LocalMoment(
        label=gettext_lazy("When"),
        input_formats=[FORMAT, f"{FORMAT}:%S"],
        widget=forms.DateTimeInput(attrs={"type": "datetime-local"}, format=FORMAT),
    )
    text = forms.CharField(
        label=gettext_lazy("Text"),
        max_length=Note.LONGEST_TEXT,
        required=False,
        help_text=gettext_lazy("On one line, such as the name and the dose."),
    )
    shared = forms.BooleanField(
        label=gettext_lazy("Share with everybody who can see your history"), required=False
    )

    def __init__(self, zone: tzinfo, *args: Any, is_own: bool, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        moment = self.fields["at"]
        assert isinstance(moment, LocalMoment)
        moment.zone = zone
        if not is_own:
            del self.fields["shared"]


def new_form(
    writer: Person, person: Person, session: SessionData | None = None, data: Any = None
) -> NoteForm:
    """Return the form of a new note, with the session's start or now as its time."""
    moment = session.placed_at if session else timezone.now()
    initial = {"at": _local(moment, person.zone)}
    return NoteForm(person.zone, data, is_own=writer.pk == person.pk, initial=initial)


def change_form(note: Note, data: Any = None) -> NoteForm:
    """Return the form that changes a note."""
    initial = {
        "kind": note.kind,
        "at": _local(note.at, note.person.zone),
        "text": note.text,
        "shared": note.shared,
    }
    is_own = note.author_id == note.person_id
    return NoteForm(note.person.zone, data, is_own=is_own, initial=initial)


def _local(moment: datetime, zone: tzinfo) -> str:
    return moment.astimezone(zone).strftime(FORMAT)
