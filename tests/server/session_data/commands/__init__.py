"""Tests of server/session_data/commands/."""
