from django.apps import AppConfig


class RetentionConfig(AppConfig):
    name = "server.retention"
    label = "keeping"  # of the tables, which are older than this room
    verbose_name = "Retention"
    default_auto_field = "django.db.models.BigAutoField"
