"""Number the changes of each person's sessions, and keep deletions until clients were told."""

import django.db.models.deletion
import django.utils.timezone
import uuid
from django.conf import settings
from django.db import migrations, models


def settle(_apps, schema_editor):
    """Check foreign keys now: PostgreSQL can't alter a table with pending checks."""
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        schema_editor.execute("SET CONSTRAINTS ALL DEFERRED")


class Migration(migrations.Migration):

    dependencies = [
        ('care', '0001_squashed_0008_names'),
        ('devices', '0001_squashed_0010_order_of_statuses'),
        ('session_data', '0001_squashed_0007_quotas'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name='ChangeSeries',
            fields=[
                ('person', models.OneToOneField(on_delete=django.db.models.deletion.CASCADE, primary_key=True, related_name='+', serialize=False, to=settings.AUTH_USER_MODEL)),
                ('series', models.UUIDField(default=uuid.uuid4, editable=False)),
                ('last', models.PositiveBigIntegerField(default=0)),
                ('forgotten', models.PositiveBigIntegerField(default=0)),
            ],
        ),
        migrations.CreateModel(
            name='Deletion',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('session_id', models.UUIDField()),
                ('change', models.PositiveBigIntegerField()),
                ('at', models.DateTimeField(db_index=True, default=django.utils.timezone.now)),
            ],
        ),
        # Keep the document as the last column: to read a column, SQLite reads all before it.
        migrations.RenameField("sessiondata", "document_json", "document_before"),
        migrations.AddField(
            model_name='sessiondata',
            name='change',
            field=models.PositiveBigIntegerField(default=0, editable=False),
        ),
        migrations.AddField(
            "sessiondata", "document_json", models.TextField(default=""), preserve_default=False
        ),
        migrations.RunSQL(
            "UPDATE session_data_sessiondata SET document_json = document_before",
            "UPDATE session_data_sessiondata SET document_before = document_json",
        ),
        migrations.RunPython(settle, settle),
        migrations.RemoveField("sessiondata", "document_before"),
        migrations.AddIndex(
            model_name='sessiondata',
            index=models.Index(fields=['user', 'change', 'id'], name='session_changes'),
        ),
        migrations.AddField(
            model_name='deletion',
            name='person',
            field=models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='+', to=settings.AUTH_USER_MODEL),
        ),
        migrations.AddIndex(
            model_name='deletion',
            index=models.Index(fields=['person', 'change', 'session_id'], name='deletions'),
        ),
    ]
