"""Run the server: the `blink-server` command, gunicorn, health and metrics pages."""
