"""Summaries of sessions, by day and by period, for the API and for the pages.

statistics.py computes them, independently of requests: medians, spreads, and when a session is too
short to count. usual.py computes a person's usual range, and says how many days it needs. views.py
is the REST API.
"""
