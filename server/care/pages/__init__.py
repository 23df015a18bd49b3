"""The HTML pages of people: log-in, joining, account, sharing, institution.

Imports `care` and `common`. base.py has the decorators for the pages of all apps.
"""
