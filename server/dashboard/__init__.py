"""The caregivers' pages: people, one person's history, one session.

Imports `session_data`, `devices`, `care` and `common`. pages.py routes requests to overview.py
(people), history.py (one person, and the periods that can be chosen) and session.py (one session).
read.py queries the database. metrics.py lists the numbers that the pages show (`METRICS`): a number
more is an entry there. days, marks and charts format the results. None of these four uses requests
or models.
"""
