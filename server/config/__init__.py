"""Configuration: settings, URL routes, middleware, error answers, WSGI and ASGI."""
