"""Alerts: rules, the passes that check them, the alerts they open and resolve, and delivery.

    rules + stored data -- judge -- alerts -- outbox -- e-mail, webhook, ntfy, Apprise
                                      '-- the page, the API

Imports the metrics of `dashboard`, `monitoring`, and what `dashboard` imports. Begin with judge.py.
`conditions/` checks whether a rule's condition holds, `handling/` is about who looks after an
alert, `delivery/` sends the notifications. All times are by the server's clock. Late data opens no
alert, but may resolve one. Texts report measurements and never interpret them. A new rule begins
with the `DEFAULTS` of forms.py.

Rules are checked every minute: deploy/server/systemd/blinklog-judge.timer. A longer interval
needs a longer `OFF_AFTER` in judge.py; otherwise each pass assumes that the server was off.
"""
