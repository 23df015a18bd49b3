"""Tests of the page for the doctor."""
