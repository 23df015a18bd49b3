"""The caregivers' pages: people, one person's history, one session.

read.py asks the database; metrics, days, words, marks and charts turn what it answers into what is
shown, and know neither requests nor models; views.py joins them.
"""
