"""Commands of `blink-server` about releases."""
