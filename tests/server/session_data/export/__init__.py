"""Tests of server/session_data/export/."""
