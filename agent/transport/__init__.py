"""Delivery over MQTT and HTTP, and single requests to the server.

Start with `base`, then `mqtt` and `http`; `agent/sync.py` chooses between them. Only this room uses
paho-mqtt and requests, and it imports no other room.
"""
