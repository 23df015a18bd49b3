from django.db import migrations, models

import server.care.models


def describe(apps, schema_editor):
    """Name the tokens issued so far by their day. They expire a year after this upgrade."""
    tokens = apps.get_model("care", "PersonToken").objects.all()
    for pk, created_at in list(tokens.values_list("pk", "created_at")):
        tokens.filter(pk=pk).update(name=f"App from {created_at:%Y-%m-%d}")
    tokens.exclude(revoked_at=None).update(ended_why="revoked")


class Migration(migrations.Migration):
    dependencies = [("care", "0003_invitations")]

    operations = [
        migrations.AddField(
            model_name="persontoken",
            name="name",
            field=models.CharField(default="App", max_length=64),
        ),
        migrations.AddField(
            model_name="persontoken",
            name="scope",
            field=models.CharField(
                choices=[("read", "Read only"), ("write", "Read and write")],
                default="write",
                max_length=8,
            ),
        ),
        migrations.AddField(
            model_name="persontoken",
            name="expires_at",
            field=models.DateTimeField(default=server.care.models.in_a_year),
        ),
        migrations.AddField(
            model_name="persontoken",
            name="ended_why",
            field=models.CharField(
                blank=True,
                choices=server.care.models.token_ends,
                default="",
                editable=False,
                max_length=16,
            ),
            preserve_default=False,
        ),
        migrations.RunPython(describe, migrations.RunPython.noop),
    ]
