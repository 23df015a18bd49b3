"""Home Assistant: a device's session and last numbers, where its person has opted in.

A sensor is an entry in discovery.py and a value in state.py. publishing.py publishes both as
retained MQTT messages; opting out removes them from the broker. Imports `session_data`, `devices`,
`care` and `common`.
"""
