"""Benchmarks of Blinklog. Each module prints one table that compares it with other tools."""
