"""The caregivers' pages: people, one person's history, one session.

pages.py routes requests to overview.py (people), history.py (one person, and the periods that can
be chosen) and session.py (one session). metrics.py lists the numbers that the pages show
(`METRICS`): a number more is an entry there. Their medians and spreads come from
session_data/summary/statistics.py. read.py queries the database. days, marks and charts format the
results; none of them uses requests or models. Imports `session_data`, `devices`, `care` and
`common`.
"""
