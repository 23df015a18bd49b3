"""Delivery of alerts: queued notifications, retried until they are sent or dropped.

outbox.py queues and retries, with the number of tries. mail.py, webhook.py, ntfy.py and apprise.py
write and send; outgoing.py makes the calls to addresses that users entered. sending.py connects the
senders to the outbox. quiet.py has the quiet hours. Of this app it imports `models`, `audience`,
`words`, and the words and links of `handling`.
"""
