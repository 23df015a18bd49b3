from django.apps import AppConfig


class RemindingConfig(AppConfig):
    name = "server.reminding"
    verbose_name = "Reminding"
    default_auto_field = "django.db.models.BigAutoField"
