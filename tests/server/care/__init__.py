"""Tests of server/care/."""
