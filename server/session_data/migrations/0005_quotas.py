"""Add the size of each document, and indexes for the quotas of devices and people."""

import django.db.models.deletion
from django.db import migrations, models
from django.db.models.functions import Length


class Migration(migrations.Migration):
    dependencies = [
        ("devices", "0005_former_person_gone"),
        ("session_data", "0004_each_eye"),
    ]

    operations = [
        migrations.AddField(
            model_name="sessiondata",
            name="document_bytes",
            field=models.GeneratedField(
                db_persist=True,
                expression=Length("document_json"),
                output_field=models.PositiveIntegerField(),
            ),
        ),
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
