"""Delivery of alerts: queued notifications, retried until they are sent or dropped.

outbox.py queues and retries, with the number of tries. mail.py and webhook.py write and send;
sending.py connects them to the outbox. quiet.py has the quiet hours. Of this app it imports
`models`, `audience` and `words`.
"""
