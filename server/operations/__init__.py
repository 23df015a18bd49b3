"""Run the server: the `blink-server` command, gunicorn, health checks and metrics.

Imports the rooms whose state it shows, `ingest` and `backup`. Start with cli.py, which
lists the commands of all apps.
"""
