"""Tests of agent/sync.py."""
