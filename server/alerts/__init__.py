"""Being told: rules, what a pass finds, the alerts that it opens and resolves, and their delivery.

    rules + what is stored -- judge -- alerts -- outbox -- e-mail, webhook
                                         '-- the page, the API

By the server's clock alone. What arrives late opens nothing; it may resolve. Texts say what was
measured, never what it means.
"""
