"""Summaries of sessions, by day and by period, for the API and for the pages.

statistics.py computes them, independently of requests: medians, spreads, and when a session is too
short to count. views.py is the REST API.
"""
