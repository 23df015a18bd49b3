"""Add columns for each eye and for looking down, and fill them from the stored documents.

A device may have been upgraded before the server, which stored the unknown keys in the document.
"""

import json

from django.db import migrations, models

LARGEST = {  # what the server accepts in a new document
    "ear_open_left": 5.0,
    "ear_open_right": 5.0,
    "blink_closure_left_median": 1.0,
    "blink_closure_right_median": 1.0,
    "looking_down": 1.0,
}


def is_number(value, largest):
    """Return whether the server would accept this value in a new document."""
    return type(value) in (int, float) and 0 <= value <= largest


def fill_from_documents(apps, _schema_editor):
    sessions = apps.get_model("session_data", "SessionData").objects.order_by()
    sent = sessions.filter(document_json__contains='"ear_open_left"')
    for pk in list(sent.values_list("pk", flat=True)):
        document = json.loads(sessions.values_list("document_json", flat=True).get(pk=pk))
        metrics = document.get("metrics")
        if not isinstance(metrics, dict):
            continue
        numbers = {name: metrics.get(name) for name in LARGEST}
        sessions.filter(pk=pk).update(
            **{name: value for name, value in numbers.items() if is_number(value, LARGEST[name])}
        )


def settle(_apps, schema_editor):
    """Check foreign keys now: PostgreSQL can't alter a table with pending checks."""
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        schema_editor.execute("SET CONSTRAINTS ALL DEFERRED")


class Migration(migrations.Migration):
    dependencies = [("session_data", "0003_letters_person")]

    operations = [
        migrations.RemoveIndex(model_name="sessiondata", name="session_summary"),
        # Keep the document as the last column: to read a column, SQLite reads all before it.
        migrations.RenameField("sessiondata", "document_json", "document_before"),
        *(
            migrations.AddField("sessiondata", name, models.FloatField(blank=True, null=True))
            for name in LARGEST
        ),
        migrations.AddField(
            "sessiondata", "document_json", models.TextField(default=""), preserve_default=False
        ),
        migrations.RunSQL(
            "UPDATE session_data_sessiondata SET document_json = document_before",
            "UPDATE session_data_sessiondata SET document_before = document_json",
        ),
        migrations.RunPython(settle, settle),
        migrations.RemoveField("sessiondata", "document_before"),
        migrations.RunPython(fill_from_documents, migrations.RunPython.noop),
        migrations.RunPython(settle, migrations.RunPython.noop),
        migrations.AddIndex(
            model_name="sessiondata",
            index=models.Index(
                fields=[
                    "user",
                    "local_day",
                    "state",
                    "date_uncertain",
                    "duration_s",
                    "valid_s",
                    "blink_rate_per_min",
                    "ear_mean",
                    "perclos",
                    "long_closure_count",
                    "blink_closure_left_median",
                    "blink_closure_right_median",
                ],
                name="session_summary",
            ),
        ),
    ]
