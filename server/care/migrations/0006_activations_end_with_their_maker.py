"""Store which admin made an activation code."""

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("care", "0005_log_counts")]

    operations = [
        migrations.AddField(
            "activation",
            "made_by",
            models.ForeignKey(
                null=True,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="activations_made",
                to=settings.AUTH_USER_MODEL,
            ),
        ),
    ]
