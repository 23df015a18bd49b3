"""Run the server: the `blink-server` command, gunicorn, health and metrics pages.

Imports the rooms whose state it shows, and `ingest`. Begin with cli.py, which names the commands
of all apps.
"""
