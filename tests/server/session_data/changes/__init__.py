"""Tests of server/session_data/changes/."""
