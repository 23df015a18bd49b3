"""Alerts: rules, what a pass finds, the alerts that it opens and resolves, and their delivery.

    rules + what is stored -- judge -- alerts -- outbox -- e-mail, webhook
                                         '-- the page, the API

Imports `dashboard` (metrics alone) and what is below it. Begin with judge.py. Only the server's
clock counts. What arrives late opens nothing, but may resolve. Texts say what was measured, never
what it means.
"""
