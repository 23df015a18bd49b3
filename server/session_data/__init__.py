"""Sessions: one room, `accept_session()`, behind the two doors HTTP and MQTT."""
