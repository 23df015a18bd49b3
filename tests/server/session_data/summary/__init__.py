"""Tests of server/session_data/summary/."""
