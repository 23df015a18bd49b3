from django.apps import AppConfig


class VisitConfig(AppConfig):
    name = "server.visit"
    default_auto_field = "django.db.models.BigAutoField"
