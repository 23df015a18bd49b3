"""The caregivers' pages: people, one person's history, one session.

Imports `session_data`, `devices`, `care` and `common`. Begin with pages.py: read.py asks the
database; metrics, days, marks and charts format the answers and know neither requests nor models.
"""
