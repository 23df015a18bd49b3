from django.apps import AppConfig


class KeepingConfig(AppConfig):
    name = "server.retention"
    label = "keeping"
    verbose_name = "Keeping"
    default_auto_field = "django.db.models.BigAutoField"
