"""Sessions in SQLite. Nothing that was saved is lost in a power cut.

Start with `store`. `file` opens, checks and repairs the database file; `schema` holds the
migrations. How many delivered sessions are kept is `keep_sessions` in `agent/config.py`; sessions
that were not delivered are never deleted.
"""
