from django.apps import AppConfig


class MonitoringConfig(AppConfig):
    name = "server.monitoring"
    verbose_name = "Monitoring"
