"""Sessions in SQLite: nothing that was saved is lost, whatever happens to the power.

Start with `store`. `file` opens, checks and rescues the database file; `schema` holds the
migrations.
"""
