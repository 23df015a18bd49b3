"""Delivery of alerts: queued notifications, retried until they are sent or dropped.

Of this app it imports `models`, `audience` and `words`. Begin with outbox.py; sending.py connects
it to its senders, e-mail and webhook.
"""
