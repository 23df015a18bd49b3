"""Add the activity of start commands, and the last one of each device."""

from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ("devices", "0014_commands_by_age"),
    ]

    operations = [
        migrations.AddField(
            "command", "activity", models.CharField(blank=True, default="", max_length=16),
            preserve_default=False,
        ),
        migrations.AddField(
            "device", "activity",
            models.CharField(blank=True, default="", editable=False, max_length=16),
            preserve_default=False,
        ),
    ]
