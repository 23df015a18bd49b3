"""The usual range is computed when needed; a rule's `spread` is how much wider its range is.

Alerts also say that rules have ended.
"""

from django.db import migrations, models


def widen(apps, _schema_editor):
    """Map interquartile ranges from the median, 1 to 10, to the three choices."""
    ranged = apps.get_model("alerts", "Rule").objects.filter(spread__isnull=False)
    ranged.update(
        spread=models.Case(
            models.When(spread__lte=2, then=1.0),
            models.When(spread__lte=3, then=1.5),
            default=2.0,
            output_field=models.FloatField(),
        )
    )


class Migration(migrations.Migration):
    dependencies = [("alerts", "0001_squashed_0004_alerts_of_a_session")]

    operations = [
        migrations.RunPython(widen, migrations.RunPython.noop, elidable=True),
        migrations.DeleteModel(name="UsualRange"),
        migrations.AlterField(
            model_name='alert',
            name='kind',
            field=models.CharField(choices=[('device_silent', 'Device not connected'), ('no_session', 'No session by a time of day'), ('long_closures', 'Long closures during a session'), ('blink_rate', 'Blink rate outside the usual range'), ('perclos', 'PERCLOS outside the usual range'), ('rules_ended', 'Rules ended')], max_length=16),
        ),
        migrations.AlterField(
            model_name='rule',
            name='kind',
            field=models.CharField(choices=[('device_silent', 'Device not connected'), ('no_session', 'No session by a time of day'), ('long_closures', 'Long closures during a session'), ('blink_rate', 'Blink rate outside the usual range'), ('perclos', 'PERCLOS outside the usual range'), ('rules_ended', 'Rules ended')], max_length=16),
        ),
    ]
