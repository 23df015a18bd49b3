from django.apps import AppConfig


class RetentionConfig(AppConfig):
    name = "server.retention"
    label = "keeping"  # as in the existing tables
    verbose_name = "Retention"
    default_auto_field = "django.db.models.BigAutoField"
