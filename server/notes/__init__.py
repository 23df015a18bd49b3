"""Notes about a person or one of their sessions: medicine, drops, bad sleep, free text.

`seen.py` says who sees which notes, `write.py` writes them, `before_after.py` (pure) compares the
days before and after one, `deletion.py` deletes them. Imports `session_data` and what it imports.
Begin with models.py.
"""
