"""Tests of server/config/."""
