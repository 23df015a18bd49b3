"""The JSON form of notes, and of what was measured before and after one."""

from typing import Any

from rest_framework import serializers

from server.care.models import Person
from server.common.fields import (
    Choice,
    Flag,
    Instant,
    SessionId,
    StrictSerializer,
    Text,
    instant_text,
)
from server.common.paging import PageSerializer
from server.notes.before_after import DAYS, KEYS, Side, Window
from server.notes.measured import BeforeAfter
from server.notes.models import Kind, Note
from server.notes.seen import may_change, may_delete

REMARK = "A difference is no proof of a cause."


class NoteSerializer(serializers.Serializer[Any]):
    """A note. `day` is that of `at` in the person's time zone."""

    id = serializers.UUIDField()
    user = serializers.CharField(help_text="The person concerned")
    author = serializers.CharField(help_text="User name, also of a deleted account")
    kind = serializers.ChoiceField(choices=Kind.choices)
    at = serializers.DateTimeField()
    day = serializers.DateField()
    text = serializers.CharField(allow_blank=True)
    shared = serializers.BooleanField(help_text="Whether others see it who may see the history")
    session_id = serializers.UUIDField(allow_null=True)
    created_at = serializers.DateTimeField()
    changed_at = serializers.DateTimeField()
    may_change = serializers.BooleanField(help_text="Whether you may change it")
    may_delete = serializers.BooleanField(help_text="Whether you may delete it")


class NotesSerializer(PageSerializer):
    """A page of notes, newest first."""

    results = NoteSerializer(many=True)


class NoteChangesSerializer(StrictSerializer):
    """The values of a note that its author can change. None of them needs to be sent."""

    kind = Choice(choices=Kind.choices, required=False)
    at = Instant(required=False)
    text = Text(max_length=Note.LONGEST_TEXT, required=False)
    shared = Flag(required=False)


class NoteWholeSerializer(NoteChangesSerializer):
    """All values of a note that its author can change."""

    kind = Choice(choices=Kind.choices)
    at = Instant()
    text = Text(max_length=Note.LONGEST_TEXT)
    shared = Flag()


class NewNoteSerializer(NoteChangesSerializer):
    """A new note: about yourself, or on a session that you may see.

    `at` is the session's start by default, else now. `shared` is false by default for a note about
    yourself; a note about somebody else is always shared.
    """

    kind = Choice(choices=Kind.choices)
    session_id = SessionId(required=False, allow_null=True)


class WindowSerializer(serializers.Serializer[Any]):
    """The days of a side, both inclusive."""

    first = serializers.DateField()
    last = serializers.DateField()


class SideSerializer(serializers.Serializer[Any]):
    """The median of a side's daily values (null without any), over `days` and `sessions`."""

    median = serializers.FloatField(allow_null=True)
    days = serializers.IntegerField()
    sessions = serializers.IntegerField()


class ComparedSerializer(serializers.Serializer[Any]):
    """One metric. `difference` is null if a side has values on fewer than `least_days` days.

    `repeatability` is the smallest difference of two single days that is beyond their own spread,
    from the four weeks before the note; null with fewer than seven days, and for long closures.
    """

    before = SideSerializer()
    after = SideSerializer()
    difference = serializers.FloatField(allow_null=True)
    repeatability = serializers.FloatField(allow_null=True)
    larger = serializers.BooleanField(allow_null=True)


class ComparedMetricsSerializer(serializers.Serializer[Any]):
    """The metrics by name."""

    def get_fields(self) -> dict[str, Any]:
        """Return a field for each metric."""
        return {key: ComparedSerializer() for key in KEYS}


class BeforeAfterSerializer(serializers.Serializer[Any]):
    """What was measured before and after a note. `before` and `after` are null without a day."""

    note = serializers.UUIDField()
    user = serializers.CharField()
    kind = serializers.ChoiceField(choices=Kind.choices)
    day = serializers.DateField()
    days = serializers.ChoiceField(choices=DAYS)
    least_days = serializers.IntegerField()
    before = WindowSerializer(allow_null=True)
    after = WindowSerializer(allow_null=True)
    metrics = ComparedMetricsSerializer()
    remark = serializers.CharField()


def note_data(note: Note, viewer: Person) -> dict[str, Any]:
    """Return a note as JSON data for somebody who sees it."""
    return {
        **exported(note),
        "may_change": may_change(viewer, note),
        "may_delete": may_delete(viewer, note),
    }


def exported(note: Note) -> dict[str, Any]:
    """Return a note as JSON data, without what somebody may do with it."""
    return {
        "id": str(note.pk),
        "user": note.person.username,
        "author": note.author.username if note.author else note.author_name,
        "kind": note.kind,
        "at": instant_text(note.at),
        "day": note.day.isoformat(),
        "text": note.text,
        "shared": note.shared,
        "session_id": str(note.session_id) if note.session_id else None,
        "created_at": instant_text(note.created_at),
        "changed_at": instant_text(note.changed_at),
    }


def before_after_data(found: BeforeAfter) -> dict[str, Any]:
    """Return a comparison as JSON data."""
    return {
        "note": str(found.note.pk),
        "user": found.note.person.username,
        "kind": found.note.kind,
        "day": found.day.isoformat(),
        "days": found.days,
        "least_days": found.least_days,
        "before": _window(found.before),
        "after": _window(found.after),
        "metrics": {
            each.key: {
                "before": _side(each.before),
                "after": _side(each.after),
                "difference": each.difference,
                "repeatability": each.least,
                "larger": each.larger,
            }
            for each in found.metrics
        },
        "remark": REMARK,
    }


def _window(window: Window | None) -> dict[str, str] | None:
    if window is None:
        return None
    return {"first": window.first.isoformat(), "last": window.last.isoformat()}


def _side(side: Side) -> dict[str, Any]:
    return {"median": side.median, "days": side.days, "sessions": side.sessions}
