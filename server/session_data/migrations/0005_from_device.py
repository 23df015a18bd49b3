"""Store whether a device wrote a session, which stays true when the device is deleted."""

from django.db import migrations, models
from django.db.models import Q


def mark_those_of_devices(apps, _schema_editor):
    """Mark sessions of devices, and those that name an agent but no device: it was deleted."""
    sessions = apps.get_model("session_data", "SessionData").objects.order_by()
    sessions.exclude(Q(device=None) & Q(agent_version="")).update(from_device=True)


def settle(_apps, schema_editor):
    """Check foreign keys now: PostgreSQL can't alter a table with pending checks."""
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        schema_editor.execute("SET CONSTRAINTS ALL DEFERRED")


class Migration(migrations.Migration):
    dependencies = [("session_data", "0004_each_eye")]

    operations = [
        # Keep the document as the last column: to read a column, SQLite reads all before it.
        migrations.RenameField("sessiondata", "document_json", "document_before"),
        migrations.AddField(
            "sessiondata", "from_device", models.BooleanField(default=False, editable=False)
        ),
        migrations.AddField(
            "sessiondata", "document_json", models.TextField(default=""), preserve_default=False
        ),
        migrations.RunSQL(
            "UPDATE session_data_sessiondata SET document_json = document_before",
            "UPDATE session_data_sessiondata SET document_before = document_json",
        ),
        migrations.RunPython(mark_those_of_devices, migrations.RunPython.noop),
        migrations.RunPython(settle, settle),
        migrations.RemoveField("sessiondata", "document_before"),
    ]
