"""Tests of server/session_data/activity/."""
