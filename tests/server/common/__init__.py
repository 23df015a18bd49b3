"""Tests of server/common/."""
