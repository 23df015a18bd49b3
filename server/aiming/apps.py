from django.apps import AppConfig


class AimingConfig(AppConfig):
    name = "server.aiming"
    verbose_name = "Aiming"
    default_auto_field = "django.db.models.BigAutoField"
