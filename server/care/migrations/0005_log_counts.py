import django.utils.timezone
from django.db import migrations, models
from django.db.models import F


def last_is_first(apps, schema_editor):
    """Each entry so far was done once."""
    apps.get_model("care", "AuditEntry").objects.update(last_at=F("at"))


class Migration(migrations.Migration):
    dependencies = [("care", "0004_token_name_scope_expiry")]

    operations = [
        migrations.AlterModelOptions(
            name="auditentry",
            options={"ordering": ["-last_at", "-id"], "verbose_name_plural": "audit log"},
        ),
        migrations.AddField(
            model_name="auditentry",
            name="last_at",
            field=models.DateTimeField(default=django.utils.timezone.now),
        ),
        migrations.AddField(
            model_name="auditentry",
            name="count",
            field=models.PositiveIntegerField(default=1),
        ),
        migrations.AddIndex(
            model_name="accesslog",
            index=models.Index(fields=["last_at"], name="looks_by_age"),
        ),
        migrations.AddIndex(
            model_name="auditentry",
            index=models.Index(fields=["last_at"], name="audit_entries_by_age"),
        ),
        migrations.AddIndex(
            model_name="auditentry",
            index=models.Index(fields=["event", "at"], name="audit_entries_of_an_event"),
        ),
        migrations.RunPython(last_is_first, migrations.RunPython.noop),
    ]
