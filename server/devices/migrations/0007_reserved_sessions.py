"""Look up the command that reserved a session's id."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("devices", "0006_polled_at")]

    operations = [
        migrations.AddIndex(
            "command", models.Index(fields=["session_id"], name="commands_of_a_session")
        ),
    ]
