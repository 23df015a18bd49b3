"""Alerts: rules, the passes that check them, the alerts they open and resolve, and delivery.

    rules + stored data -- judge -- alerts -- outbox -- e-mail, webhook
                                      '-- the page, the API

Imports only the metrics of `dashboard`, and the rooms below it. Begin with judge.py. `conditions/`
says whether a rule's condition holds, `delivery/` sends what a pass found. Only the server's clock
counts. Late data opens no alert, but may resolve one. Texts report measurements, never their
meaning.

Rules are checked every minute: deploy/server/systemd/blinklog-judge.timer. A longer interval
needs a longer `OFF_AFTER` in judge.py, or each pass takes the server for restarted.
"""
