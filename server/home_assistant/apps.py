from django.apps import AppConfig


class HomeAssistantConfig(AppConfig):
    name = "server.home_assistant"
    verbose_name = "Home Assistant"
    default_auto_field = "django.db.models.BigAutoField"
