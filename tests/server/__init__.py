"""Tests of the server, in the rooms of server/; what they share is in conftest.py."""
