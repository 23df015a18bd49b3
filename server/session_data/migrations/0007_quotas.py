"""Add the size of each document, and indexes for the quotas of devices and people."""

import django.db.models.deletion
from django.db import migrations, models


def settle(_apps, schema_editor):
    """Check foreign keys now: PostgreSQL can't alter a table with pending checks."""
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        schema_editor.execute("SET CONSTRAINTS ALL DEFERRED")


class Migration(migrations.Migration):
    dependencies = [
        ("devices", "0005_former_person_gone"),
        ("session_data", "0006_sensible_revisions"),
    ]

    operations = [
        migrations.AlterField(
            model_name="sessiondata",
            name="device",
            field=models.ForeignKey(
                blank=True,
                db_index=False,
                null=True,
                on_delete=django.db.models.deletion.SET_NULL,
                related_name="sessions",
                to="devices.device",
            ),
        ),
        # Keep the document as the last column: to read a column, SQLite reads all before it.
        migrations.RenameField("sessiondata", "document_json", "document_before"),
        migrations.AddField(
            "sessiondata", "document_bytes", models.PositiveIntegerField(default=0, editable=False)
        ),
        migrations.AddField(
            "sessiondata", "document_json", models.TextField(default=""), preserve_default=False
        ),
        migrations.RunSQL(
            "UPDATE session_data_sessiondata"
            " SET document_json = document_before, document_bytes = LENGTH(document_before)",
            "UPDATE session_data_sessiondata SET document_before = document_json",
        ),
        migrations.RunPython(settle, settle),
        migrations.RemoveField("sessiondata", "document_before"),
        migrations.AddIndex(
            model_name="sessiondata",
            index=models.Index(
                fields=["device", "updated_at", "document_bytes"], name="session_device"
            ),
        ),
        migrations.AddIndex(
            model_name="sessiondata",
            index=models.Index(
                fields=["user", "updated_at", "document_bytes"], name="session_bytes"
            ),
        ),
    ]
