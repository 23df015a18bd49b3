"""Tests of server/retention/."""
