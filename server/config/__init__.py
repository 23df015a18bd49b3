"""Configuration: settings, URL routes, middleware, error responses, WSGI and ASGI.

Imports `common` and `operations`, and lists all apps. Start with settings.py and urls.py.
"""
