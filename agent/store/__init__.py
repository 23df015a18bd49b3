"""Sessions in SQLite. Nothing that was saved is lost in a power cut.

Start with `store`; `rows` and `commands` say what a row is. `file` opens, checks and replaces the
database file, `aside` and `swap` handle the files beside it, and `rescue` copies what can be read;
`schema` holds the migrations. How many delivered sessions are kept is `keep_sessions` in
`agent/config.py`; sessions that were not delivered are never deleted.
"""
