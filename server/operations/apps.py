from django.apps import AppConfig


class OperationsConfig(AppConfig):
    name = "server.operations"
    verbose_name = "Operations"
