"""Helpers that every room may import. This room imports no other room."""
