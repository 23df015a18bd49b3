"""Summaries of many sessions: by day, and over a period.

statistics.py computes them and knows no request; views.py is the REST API.
"""
