"""Delivery of alerts: queued notifications, retried until they are sent or dropped.

Imports `models`, `audience` and `words` of the app. Begin with outbox.py; sending.py joins it to
its senders, e-mail and webhook.
"""
