from django.db import migrations, models

KINDS = [
    ("device_silent", "Device offline"),
    ("no_session", "No session by a time of day"),
    ("long_closures", "Long closures during a session"),
    ("blink_rate", "Blink rate outside the usual range"),
    ("perclos", "PERCLOS outside the usual range"),
]


class Migration(migrations.Migration):
    """Change the labels of the kinds of rules; the database stays as it is."""

    dependencies = [("alerts", "0002_consumer_pauses")]

    operations = [
        migrations.AlterField(
            model_name=model, name="kind", field=models.CharField(choices=KINDS, max_length=16)
        )
        for model in ("rule", "alert")
    ]
