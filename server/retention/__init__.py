"""A person's own data: retention, export and deletion.

tidying.py deletes what is past its retention time, in steps; its timer is
deploy/server/systemd/blinklog-tidy.timer. deletion.py is how sessions and people are deleted,
everything.py exports all data of a person, codes.py deletes used codes. Imports `alerts` and the
rooms below it. The app label is `keeping`, as in the names of the tables.
"""
