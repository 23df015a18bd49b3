"""Back up and restore the database while the server runs.

A backup has the whole database. backup.py is the two commands, engines.py copies and replaces the
database (SQLite, PostgreSQL), archive.py is the file, carried.py keeps deletions and revocations
over a restore, and migrating.py migrates the schema. Imports `session_data`, `devices`, `care`,
`monitoring` and `common`.

When backups are made and how many are kept: deploy/server/systemd/blinklog-backup.{timer,service}.
"""
