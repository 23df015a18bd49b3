"""Tests of server/alerts/."""
