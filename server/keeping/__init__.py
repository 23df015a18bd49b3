"""Keeping: how long, how to take it away, how to delete it, and how to get it back after a fire."""
