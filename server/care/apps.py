from django.apps import AppConfig


class CareConfig(AppConfig):
    name = "server.care"
    verbose_name = "Care"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Connect the signal handlers."""
        from server.care import signals  # noqa: F401 connects its handlers on import
