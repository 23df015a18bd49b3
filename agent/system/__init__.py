"""The operating system: systemd, process locks, file owners, whole files, worker threads.

Imports the standard library alone.
"""
