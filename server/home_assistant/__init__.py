"""Home Assistant: where its person has opted in, a device's session and last numbers appear there.

The consumer publishes, because it has a connection to the broker: what Home Assistant is to know of
a device (MQTT discovery), and its state, all retained. Opting out removes them from the broker.
"""
