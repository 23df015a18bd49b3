"""The MQTT door: take documents from the broker, store them in batches, answer each.

Imports `session_data`, `devices`, `home_assistant`, `monitoring` and `common`. Begin with
consumer.py; its docstring has the failure policy.
"""
