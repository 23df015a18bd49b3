"""A person's own data: retention, export and deletion.

tidying.py deletes what is past its retention time, in steps; its timer is
deploy/server/systemd/blinklog-tidy.timer. deletion.py is how sessions and people are deleted,
everything.py exports all data of a person, codes.py deletes expired codes, tokens and requests,
choosing.py changes the retention time. Imports the app `alerts` and the apps that it may import.
The app label is `keeping`, as in the names of the tables.
"""
