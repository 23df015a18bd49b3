"""Store whether a device's credentials ended with a change of owner."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("devices", "0007_reserved_sessions")]

    operations = [
        migrations.AddField(
            "device", "credentials_ended", models.BooleanField(default=False, editable=False)
        ),
    ]
