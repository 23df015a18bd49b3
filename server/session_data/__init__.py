"""Sessions: take documents in, keep the newest revision of each, give history out.

Imports `devices`, `care` and `common`. Begin with receive.py, behind both doors, and accept.py, the
revision rule; then history.py for the way out.
"""
