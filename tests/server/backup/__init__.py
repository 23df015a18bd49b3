"""Tests of server/backup/."""
