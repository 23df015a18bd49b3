"""Let real revisions replace those above the highest that is accepted now."""

from django.db import migrations

MAX_REVISION = 1_000_000


def lower(apps, _schema_editor):
    sessions = apps.get_model("session_data", "SessionData").objects.order_by()
    sessions.filter(revision__gt=MAX_REVISION).update(revision=1)


class Migration(migrations.Migration):
    dependencies = [("session_data", "0005_from_device")]

    operations = [migrations.RunPython(lower, migrations.RunPython.noop)]
