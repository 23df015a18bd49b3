import django.db.models.deletion
import django.utils.timezone
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True

    replaces = [
        ("session_data", "0001_initial"),
        ("session_data", "0002_placed_and_summary"),
        ("session_data", "0003_letters_person"),
        ("session_data", "0004_each_eye"),
        ("session_data", "0005_from_device"),
        ("session_data", "0006_sensible_revisions"),
        ("session_data", "0007_quotas"),
    ]

    dependencies = [
        ("devices", "0001_squashed_0010_order_of_statuses"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="DeadLetter",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "sender",
                    models.CharField(help_text="The device's id, as claimed", max_length=64),
                ),
                (
                    "door",
                    models.CharField(choices=[("http", "HTTP"), ("mqtt", "MQTT")], max_length=8),
                ),
                ("received_at", models.DateTimeField(default=django.utils.timezone.now)),
                ("reason", models.TextField()),
                ("size", models.PositiveIntegerField(help_text="Of the whole payload, in bytes")),
                (
                    "payload",
                    models.TextField(help_text="Its beginning only, where it was too long to keep"),
                ),
                (
                    "device",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="dead_letters",
                        to="devices.device",
                    ),
                ),
                (
                    "person",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="dead_letters",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={
                "ordering": ["-received_at", "-id"],
                "indexes": [
                    models.Index(fields=["sender", "-id"], name="dead_letters_of_a_sender")
                ],
            },
        ),
        migrations.CreateModel(
            name="SessionData",
            fields=[
                ("duration_s", models.FloatField(blank=True, null=True)),
                ("valid_s", models.FloatField(blank=True, null=True)),
                ("coverage", models.FloatField(blank=True, null=True)),
                ("frames", models.PositiveIntegerField(blank=True, null=True)),
                ("frames_dropped", models.PositiveIntegerField(blank=True, null=True)),
                ("blink_count", models.PositiveIntegerField(blank=True, null=True)),
                ("partial_blink_count", models.PositiveIntegerField(blank=True, null=True)),
                ("blink_rate_per_min", models.FloatField(blank=True, null=True)),
                ("inter_blink_interval_median_s", models.FloatField(blank=True, null=True)),
                ("blink_duration_median_ms", models.FloatField(blank=True, null=True)),
                ("blink_duration_p90_ms", models.FloatField(blank=True, null=True)),
                ("ear_mean", models.FloatField(blank=True, null=True)),
                ("ear_open", models.FloatField(blank=True, null=True)),
                ("perclos", models.FloatField(blank=True, null=True)),
                ("long_closure_count", models.PositiveIntegerField(blank=True, null=True)),
                ("longest_closure_s", models.FloatField(blank=True, null=True)),
                ("ear_open_left", models.FloatField(blank=True, null=True)),
                ("ear_open_right", models.FloatField(blank=True, null=True)),
                ("blink_closure_left_median", models.FloatField(blank=True, null=True)),
                ("blink_closure_right_median", models.FloatField(blank=True, null=True)),
                ("looking_down", models.FloatField(blank=True, null=True)),
                ("id", models.UUIDField(editable=False, primary_key=True, serialize=False)),
                ("from_device", models.BooleanField(default=False, editable=False)),
                ("schema", models.PositiveSmallIntegerField(default=1)),
                ("revision", models.PositiveIntegerField()),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("active", "Active"),
                            ("ended", "Ended"),
                            ("interrupted", "Interrupted"),
                        ],
                        max_length=16,
                    ),
                ),
                ("started_at", models.DateTimeField()),
                ("ended_at", models.DateTimeField(blank=True, null=True)),
                ("ended_by", models.CharField(blank=True, max_length=32, null=True)),
                ("timezone", models.CharField(blank=True, max_length=64)),
                ("utc_offset_minutes", models.SmallIntegerField(blank=True, null=True)),
                ("clock_synchronized", models.BooleanField(null=True)),
                ("date_uncertain", models.BooleanField(default=False)),
                ("local_day", models.DateField()),
                ("received_at", models.DateTimeField(default=django.utils.timezone.now)),
                ("updated_at", models.DateTimeField(default=django.utils.timezone.now)),
                (
                    "placed_at",
                    models.GeneratedField(
                        db_persist=True,
                        expression=models.Case(
                            models.When(date_uncertain=True, then=models.F("received_at")),
                            default=models.F("started_at"),
                        ),
                        output_field=models.DateTimeField(),
                    ),
                ),
                ("camera_source", models.CharField(blank=True, max_length=32)),
                ("fps", models.FloatField(blank=True, null=True)),
                ("agent_version", models.CharField(blank=True, max_length=64)),
                ("model", models.CharField(blank=True, max_length=128)),
                ("document_bytes", models.PositiveIntegerField(default=0, editable=False)),
                (
                    "device",
                    models.ForeignKey(
                        blank=True,
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="sessions",
                        to="devices.device",
                    ),
                ),
                (
                    "user",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="sessions",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                # The last column: to read a column, SQLite reads all before it.
                ("document_json", models.TextField()),
            ],
            options={
                "verbose_name": "session",
                "ordering": ["-placed_at", "-id"],
                "indexes": [
                    models.Index(fields=["user", "-placed_at", "-id"], name="session_history"),
                    models.Index(
                        fields=["user", "state", "-placed_at", "-id"],
                        name="session_history_by_state",
                    ),
                    models.Index(
                        fields=[
                            "user",
                            "local_day",
                            "state",
                            "date_uncertain",
                            "duration_s",
                            "valid_s",
                            "blink_rate_per_min",
                            "ear_mean",
                            "perclos",
                            "long_closure_count",
                            "blink_closure_left_median",
                            "blink_closure_right_median",
                        ],
                        name="session_summary",
                    ),
                    models.Index(
                        fields=["device", "updated_at", "document_bytes"], name="session_device"
                    ),
                    models.Index(
                        fields=["user", "updated_at", "document_bytes"], name="session_bytes"
                    ),
                ],
            },
        ),
    ]
