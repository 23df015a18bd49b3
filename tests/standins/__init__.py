"""Stand-ins for what only a device has; a test checks them against the real thing's source."""
