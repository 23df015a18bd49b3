"""Tests of server/session_data/representation/."""
