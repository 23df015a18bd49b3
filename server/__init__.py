"""The server: documents come in by two doors, history goes out to those who may see it.

    PUT /api/session/<id>/ ----.
                                >-- accept_session() -- SessionData -- visible_people() -- history
    MQTT .../<device>/sessions-'

`session_data` keeps and shows sessions, `devices` says who may write them, `care` who may read
them.
"""
