from django.apps import AppConfig


class AlertsConfig(AppConfig):
    name = "server.alerts"
    verbose_name = "Alerts"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Tell people by e-mail who asks them for access."""
        from server.alerts.asked import on_asked
        from server.care.asking.requests import asked

        asked.connect(on_asked, dispatch_uid="alerts.asked")
