"""Add what a person did during a session, and whether a person chose it."""

from django.db import migrations, models


def settle(_apps, schema_editor):
    """Check foreign keys now: PostgreSQL can't alter a table with pending checks."""
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        schema_editor.execute("SET CONSTRAINTS ALL DEFERRED")


class Migration(migrations.Migration):

    dependencies = [
        ("session_data", "0011_somebody_else"),
    ]

    operations = [
        migrations.RemoveIndex("sessiondata", "session_summary"),
        # Keep the document as the last column: to read a column, SQLite reads all before it.
        migrations.RenameField("sessiondata", "document_json", "document_before"),
        migrations.AddField(
            "sessiondata", "activity", models.CharField(blank=True, max_length=16, null=True)
        ),
        migrations.AddField("sessiondata", "activity_chosen", models.BooleanField(default=False)),
        migrations.AddField(
            "sessiondata", "document_json", models.TextField(default=""), preserve_default=False
        ),
        migrations.RunSQL(
            "UPDATE session_data_sessiondata SET document_json = document_before",
            "UPDATE session_data_sessiondata SET document_before = document_json",
        ),
        migrations.RunPython(settle, settle),
        migrations.RemoveField("sessiondata", "document_before"),
        migrations.AddIndex(
            "sessiondata",
            models.Index(
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
                    "activity",
                ],
                name="session_summary",
            ),
        ),
        migrations.AddIndex(
            "sessiondata",
            models.Index(
                condition=models.Q(activity__isnull=False),
                fields=["user", "activity", "-placed_at", "-id"],
                name="session_by_activity",
            ),
        ),
    ]
