"""Place uncertain sessions by their arrival; add a covering index for summaries."""

import zoneinfo
from datetime import UTC, timedelta, timezone

from django.conf import settings
from django.db import migrations, models


def zone_of(row):
    """Return the session's time zone, like `days.zone_of` at the time of this migration."""
    for name in (row["timezone"], None, row["user__timezone"]):
        if name:
            try:
                return zoneinfo.ZoneInfo(name)
            except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
                pass
        elif name is None and row["utc_offset_minutes"] is not None:
            return timezone(timedelta(minutes=row["utc_offset_minutes"]))
    return UTC


def put_where_they_arrived(apps, _schema_editor):
    sessions = apps.get_model("session_data", "SessionData").objects
    names = ("pk", "timezone", "utc_offset_minutes", "user__timezone", "received_at")
    for row in list(sessions.filter(date_uncertain=True).values(*names)):
        day = row["received_at"].astimezone(zone_of(row)).date()
        sessions.filter(pk=row["pk"]).update(local_day=day)


def settle(_apps, schema_editor):
    """Check foreign keys now: PostgreSQL can't alter a table with pending checks."""
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        schema_editor.execute("SET CONSTRAINTS ALL DEFERRED")


class Migration(migrations.Migration):
    dependencies = [
        ("care", "0001_initial"),
        ("devices", "0002_commands"),
        ("session_data", "0001_initial"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.RemoveIndex(model_name="sessiondata", name="session_history"),
        migrations.RemoveIndex(model_name="sessiondata", name="session_history_by_state"),
        migrations.RemoveIndex(model_name="sessiondata", name="session_history_by_day"),
        # The document stays the last column: SQLite reads all of what stands before a column.
        migrations.RenameField("sessiondata", "document_json", "document_before"),
        migrations.AddField(
            model_name="sessiondata",
            name="placed_at",
            field=models.GeneratedField(
                db_persist=True,
                expression=models.Case(
                    models.When(date_uncertain=True, then=models.F("received_at")),
                    default=models.F("started_at"),
                ),
                output_field=models.DateTimeField(),
            ),
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
        migrations.AddIndex(
            model_name="sessiondata",
            index=models.Index(fields=["user", "-placed_at", "-id"], name="session_history"),
        ),
        migrations.AddIndex(
            model_name="sessiondata",
            index=models.Index(
                fields=["user", "state", "-placed_at", "-id"], name="session_history_by_state"
            ),
        ),
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
                ],
                name="session_summary",
            ),
        ),
        migrations.AlterModelOptions(
            name="sessiondata",
            options={"ordering": ["-placed_at", "-id"], "verbose_name": "session"},
        ),
        migrations.RunPython(put_where_they_arrived, migrations.RunPython.noop),
    ]
