"""Tests of server/devices/."""
