"""Summaries of sessions, by day and by period.

statistics.py computes them, independently of requests; views.py is the REST API.
"""
