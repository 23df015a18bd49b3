"""The operating system: systemd, process locks, file owners, atomic writes, worker threads.

Imports only the standard library.
"""
