"""Look up the command that reserved a session's id."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("devices", "0005_former_person_gone")]

    operations = [
        migrations.AddIndex(
            "command", models.Index(fields=["session_id"], name="commands_of_a_session")
        ),
    ]
