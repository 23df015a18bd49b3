from django.apps import AppConfig


class SessionDataConfig(AppConfig):
    name = "server.session_data"
    verbose_name = "Sessions"
    default_auto_field = "django.db.models.BigAutoField"
