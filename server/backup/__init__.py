"""Back up and restore the database while the server runs.

Imports `session_data`, `devices`, `care`, `monitoring` and `common`. Begin with backup.py;
carried.py keeps deletions and revocations over a restore.

When backups are made and how many are kept: deploy/server/systemd/blinklog-backup.{timer,service}.
"""
