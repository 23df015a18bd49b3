"""Sessions: receive documents, store the newest revision of each, and serve the history.

Imports `devices`, `care` and `common`. Start with receive.py, which HTTP and MQTT share, and
accept.py, the revision rule; then history.py, which reads sessions.
"""
