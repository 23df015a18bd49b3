"""The HTML pages of people: log-in, joining, account, sharing, institution.

Imports `care` and `common`. base.py has the decorators that every page of every app uses.
"""
