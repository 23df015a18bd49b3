"""Makes `admin_site.Site` the admin site."""

from django.contrib.admin.apps import AdminConfig


class AdminSiteConfig(AdminConfig):
    """Django's admin app with our site."""

    default_site = "server.common.admin_site.Site"
