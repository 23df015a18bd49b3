"""Tests of server/session_data/whose/."""
