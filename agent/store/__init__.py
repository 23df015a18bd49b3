"""Sessions in SQLite. Nothing that was saved is lost in a power cut.

Start with `store`. `file` opens, checks and repairs the database file; `schema` holds the
migrations.
"""
