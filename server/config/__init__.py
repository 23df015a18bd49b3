"""Configuration: settings, URL routes, middleware, error answers, WSGI and ASGI.

Imports `common` and `operations`, and names all apps. Begin with settings.py and urls.py.
"""
