"""Home Assistant: a device's session and last numbers, where its person has opted in.

Imports `session_data`, `devices`, `care` and `common`. Begin with publishing.py: the consumer
publishes retained MQTT discovery and state messages; opting out removes them from the broker.
"""
