"""People: accounts, log-in, sharing, institutions, and who may see whom.

Imports `common` only. Begin with models.py, then access.py: it alone decides who sees whom.
"""
