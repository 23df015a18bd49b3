import django.core.validators
import django.db.models.deletion
import django.utils.timezone
import server.alerts.models
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True

    replaces = [
        ("alerts", "0001_initial"),
        ("alerts", "0002_consumer_pauses"),
        ("alerts", "0003_plain_labels"),
        ("alerts", "0004_alerts_of_a_session"),
    ]

    dependencies = [
        ("devices", "0001_squashed_0010_order_of_statuses"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="Pass",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("at", models.DateTimeField()),
                ("since", models.DateTimeField()),
                ("consuming_since", models.DateTimeField(null=True)),
            ],
            options={
                "verbose_name_plural": "passes",
            },
        ),
        migrations.CreateModel(
            name="Receiver",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("by_email", models.BooleanField(default=False)),
                ("email", models.EmailField(blank=True, max_length=254)),
                ("confirmed_email", models.EmailField(blank=True, editable=False, max_length=254)),
                ("webhook_url", models.CharField(blank=True, max_length=500)),
                (
                    "webhook_secret",
                    models.CharField(
                        default=server.alerts.models.new_secret, editable=False, max_length=64
                    ),
                ),
                ("quiet_from", models.TimeField(blank=True, null=True)),
                ("quiet_until", models.TimeField(blank=True, null=True)),
                (
                    "person",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="told",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="Rule",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "kind",
                    models.CharField(
                        choices=[
                            ("device_silent", "Device not connected"),
                            ("no_session", "No session by a time of day"),
                            ("long_closures", "Long closures during a session"),
                            ("blink_rate", "Blink rate outside the usual range"),
                            ("perclos", "PERCLOS outside the usual range"),
                        ],
                        max_length=16,
                    ),
                ),
                (
                    "minutes",
                    models.PositiveIntegerField(
                        blank=True,
                        null=True,
                        validators=[
                            django.core.validators.MinValueValidator(5),
                            django.core.validators.MaxValueValidator(20160),
                        ],
                    ),
                ),
                ("by", models.TimeField(blank=True, null=True)),
                ("weekdays", models.CharField(default="1234567", max_length=7)),
                (
                    "closures",
                    models.PositiveIntegerField(
                        blank=True,
                        null=True,
                        validators=[
                            django.core.validators.MinValueValidator(1),
                            django.core.validators.MaxValueValidator(1000),
                        ],
                    ),
                ),
                (
                    "closure_s",
                    models.FloatField(
                        blank=True,
                        null=True,
                        validators=[
                            django.core.validators.MinValueValidator(0.5),
                            django.core.validators.MaxValueValidator(60),
                        ],
                    ),
                ),
                (
                    "spread",
                    models.FloatField(
                        blank=True,
                        null=True,
                        validators=[
                            django.core.validators.MinValueValidator(1),
                            django.core.validators.MaxValueValidator(10),
                        ],
                    ),
                ),
                (
                    "created_at",
                    models.DateTimeField(default=django.utils.timezone.now, editable=False),
                ),
                (
                    "changed_at",
                    models.DateTimeField(default=django.utils.timezone.now, editable=False),
                ),
                (
                    "person",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="watched_by",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "receiver",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="alert_rules",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={
                "ordering": ["person__username", "kind", "id"],
            },
        ),
        migrations.CreateModel(
            name="Alert",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "kind",
                    models.CharField(
                        choices=[
                            ("device_silent", "Device not connected"),
                            ("no_session", "No session by a time of day"),
                            ("long_closures", "Long closures during a session"),
                            ("blink_rate", "Blink rate outside the usual range"),
                            ("perclos", "PERCLOS outside the usual range"),
                        ],
                        max_length=16,
                    ),
                ),
                ("cause", models.CharField(max_length=64)),
                ("session_id", models.UUIDField(null=True)),
                ("measured", models.JSONField(default=dict)),
                ("opened_at", models.DateTimeField()),
                ("resolved_at", models.DateTimeField(null=True)),
                (
                    "why",
                    models.CharField(
                        blank=True,
                        choices=[
                            ("cleared", "Cleared"),
                            ("day_over", "Day Over"),
                            ("session_over", "Session Over"),
                            ("old", "Old"),
                            ("withdrawn", "Withdrawn"),
                            ("changed", "Changed"),
                        ],
                        max_length=16,
                    ),
                ),
                (
                    "device",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="alerts",
                        to="devices.device",
                    ),
                ),
                (
                    "person",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="alerts_about",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "receiver",
                    models.ForeignKey(
                        db_index=False,
                        editable=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="alerts",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "rule",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="alerts",
                        to="alerts.rule",
                    ),
                ),
            ],
            options={
                "ordering": ["-opened_at", "-id"],
            },
        ),
        migrations.CreateModel(
            name="UsualRange",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("metric", models.CharField(max_length=32)),
                ("day", models.DateField()),
                ("sessions", models.PositiveIntegerField()),
                ("days", models.PositiveIntegerField()),
                ("median", models.FloatField(null=True)),
                ("spread", models.FloatField(null=True)),
                (
                    "person",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="usual_ranges",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="Delivery",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "notice",
                    models.CharField(
                        choices=[("opened", "Opened"), ("resolved", "Resolved")], max_length=8
                    ),
                ),
                (
                    "way",
                    models.CharField(
                        choices=[("email", "E-mail"), ("webhook", "Webhook")], max_length=8
                    ),
                ),
                ("created_at", models.DateTimeField(default=django.utils.timezone.now)),
                ("due_at", models.DateTimeField(default=django.utils.timezone.now)),
                ("attempts", models.PositiveSmallIntegerField(default=0)),
                ("claimed_until", models.DateTimeField(null=True)),
                ("sent_at", models.DateTimeField(null=True)),
                ("dropped_at", models.DateTimeField(null=True)),
                ("problem", models.CharField(blank=True, max_length=200)),
                (
                    "alert",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="deliveries",
                        to="alerts.alert",
                    ),
                ),
            ],
            options={
                "verbose_name_plural": "deliveries",
                "indexes": [
                    models.Index(
                        condition=models.Q(("dropped_at", None), ("sent_at", None)),
                        fields=["due_at"],
                        name="deliveries_to_do",
                    )
                ],
                "constraints": [
                    models.UniqueConstraint(
                        fields=("alert", "notice", "way"), name="one_delivery_per_notice_and_way"
                    )
                ],
            },
        ),
        migrations.AddIndex(
            model_name="alert",
            index=models.Index(
                fields=["receiver", "-opened_at", "-id"], name="alerts_of_a_receiver"
            ),
        ),
        migrations.AddIndex(
            model_name="alert",
            index=models.Index(
                condition=models.Q(("resolved_at", None)), fields=["receiver"], name="open_alerts"
            ),
        ),
        migrations.AddIndex(
            model_name="alert",
            index=models.Index(
                condition=models.Q(("session_id__isnull", False)),
                fields=["session_id"],
                name="alerts_of_a_session",
            ),
        ),
        migrations.AddConstraint(
            model_name="alert",
            constraint=models.UniqueConstraint(
                condition=models.Q(("resolved_at", None)),
                fields=("rule", "cause"),
                name="one_open_alert_per_cause",
            ),
        ),
        migrations.AddConstraint(
            model_name="usualrange",
            constraint=models.UniqueConstraint(
                fields=("person", "metric"), name="one_usual_range_per_metric"
            ),
        ),
    ]
