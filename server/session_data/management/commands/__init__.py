"""Commands of `blink-server` that belong to this app."""
