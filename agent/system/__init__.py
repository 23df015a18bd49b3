"""The operating system: systemd, process locks, file owners, worker threads.

Imports only the standard library.
"""
