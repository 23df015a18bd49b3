from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('devices', '0001_squashed_0010_order_of_statuses'),
    ]

    operations = [
        migrations.AlterField(
            model_name='command',
            name='command',
            field=models.CharField(choices=[('start', 'Start'), ('stop', 'Stop'), ('aim', 'Aim')], max_length=8),
        ),
    ]
