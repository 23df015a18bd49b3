"""Management commands: one file each in commands/; shared.py has their common helpers."""
