"""Store the person of a dead letter, who stays the same if its device is reassigned."""

import re
from datetime import UTC, datetime, timedelta

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

UUID = r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
NAMED = re.compile(rf'"session_id"\s*:\s*"({UUID})"')
STARTED = re.compile(r'"started_at"\s*:\s*"([^"]{1,40})"')
CLOCK_SET = re.compile(r'"synchronized"\s*:\s*true\b')


def started_at(letter):
    """Return when the session began if that is plausible, else when the letter arrived.
    """
    found = STARTED.search(letter.payload)
    try:
        moment = datetime.fromisoformat(found[1]) if found else None
    except ValueError:
        moment = None
    latest = letter.received_at + timedelta(days=1)
    if moment is None or moment.tzinfo is None or not CLOCK_SET.search(letter.payload):
        return letter.received_at
    return moment if datetime(2025, 1, 1, tzinfo=UTC) <= moment <= latest else letter.received_at


def say_whose_they_are(apps, _schema_editor):
    device_model = apps.get_model("devices", "Device")
    letters = apps.get_model("session_data", "DeadLetter").objects
    sessions = apps.get_model("session_data", "SessionData").objects
    for pk in list(letters.values_list("pk", flat=True)):
        letter = letters.get(pk=pk)
        claimed = letter.sender if re.fullmatch(UUID, letter.sender) else None
        device = device_model.objects.filter(pk=letter.device_id or claimed).first()
        if device is None:
            continue
        named = NAMED.search(letter.payload)
        kept = sessions.filter(pk=named[1], device=device).first() if named else None
        former = device.former_people.filter(until__gt=started_at(letter)).order_by("until").first()
        person = (kept and kept.user_id) or (former or device).person_id
        letters.filter(pk=pk).update(
            person_id=person, payload="" if person is None else letter.payload
        )


def settle(_apps, schema_editor):
    """Check foreign keys now: PostgreSQL can't alter a table with pending checks."""
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        schema_editor.execute("SET CONSTRAINTS ALL DEFERRED")


class Migration(migrations.Migration):
    dependencies = [
        ("devices", "0005_former_person_gone"),
        ("session_data", "0002_placed_and_summary"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.AddField(
            model_name="deadletter",
            name="person",
            field=models.ForeignKey(
                blank=True,
                null=True,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="dead_letters",
                to=settings.AUTH_USER_MODEL,
            ),
        ),
        migrations.RunPython(say_whose_they_are, migrations.RunPython.noop),
        migrations.RunPython(settle, migrations.RunPython.noop),
    ]
