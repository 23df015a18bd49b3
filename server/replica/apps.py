from django.apps import AppConfig


class ReplicaConfig(AppConfig):
    name = "server.replica"
    verbose_name = "Replica"
    default_auto_field = "django.db.models.BigAutoField"
