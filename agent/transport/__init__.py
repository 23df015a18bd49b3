"""Delivery over MQTT and HTTP, and single requests to the server.

Start with `base`, then `mqtt` and `http`; `report` keeps the note that `status` shows. Nothing here
tries again or reconnects: `agent/sync.py` chooses the transport and decides how long to wait after
a failure (`Backoff`, the same for both). Only this room uses paho-mqtt and requests, and it imports
no other room.
"""
