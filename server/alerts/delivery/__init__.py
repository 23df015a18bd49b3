"""Delivery of alerts: queued notifications, sent by e-mail or webhook, retried until sent or dropped.

Imports `models`, `audience` and `words` of the app. Begin with outbox.py; sending.py joins it to the
senders.
"""
