"""The server: session documents come in by two doors, history goes out to those who may see it.

    PUT /api/session/<id>/ ----.
                                >-- receive() -- SessionData -- visible_people() -- history
    MQTT .../<device>/sessions-'

One room for each purpose. A room imports only rooms below it; tests/server/test_rooms.py has the
order:

    config, operations                                   join the parts and run them
    dashboard, alerts, retention, backup, home_assistant what people and operators use
    ingest, monitoring                                   the MQTT door; signs of life
    session_data                                         sessions: begin with receive.py
    devices                                              who may write
    care                                                 people, and who may see whom
    common                                               helpers that know no app

In every app `views.py` is the REST API, `pages.py` is HTML, and `urls.py` routes both.
"""
