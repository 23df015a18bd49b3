"""Tests of server/operations/."""
