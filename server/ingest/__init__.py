"""The MQTT door: take session documents from the broker and store them."""
