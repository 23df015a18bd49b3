"""Tests of server/dashboard/."""
