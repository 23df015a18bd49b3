"""Delivery over MQTT and HTTP, and single requests to the server.

Start with `mqtt` and `http`; `agent/sync.py` chooses between them. Imports paho-mqtt and requests,
and none of the other rooms.
"""
