import django.db.models.deletion
import django.utils.timezone
from django.db import migrations, models


class Migration(migrations.Migration):

    initial = True

    dependencies = [
        ('devices', '0011_commands_to_aim'),
    ]

    operations = [
        migrations.CreateModel(
            name='Aimed',
            fields=[
                ('device', models.OneToOneField(on_delete=django.db.models.deletion.CASCADE, primary_key=True, related_name='aimed', serialize=False, to='devices.device')),
                ('person_pk', models.BigIntegerField()),
                ('at', models.DateTimeField(default=django.utils.timezone.now)),
                ('told', models.JSONField()),
            ],
            options={
                'verbose_name': 'view while aiming',
                'verbose_name_plural': 'views while aiming',
            },
        ),
    ]
