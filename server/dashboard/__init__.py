"""The caregivers' pages: people, one person's history, one session.

Imports `session_data`, `devices`, `care` and `common`. Begin with pages.py. read.py queries the
database; metrics, days, marks and charts format the results and use neither requests nor models.
"""
