"""Tests of server/ingest/."""
