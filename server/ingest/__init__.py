"""The MQTT consumer: receive documents from the broker, store them in batches, acknowledge each.

Imports `session_data`, `devices`, `home_assistant`, `monitoring` and `common`. Start with
consumer.py; its docstring has the failure policy.
"""
