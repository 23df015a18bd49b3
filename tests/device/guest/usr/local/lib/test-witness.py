"""Tells the host of each session document as soon as it is committed: one line of JSON each.

A reader sees a commit of SQLite's write-ahead log only after it has been synced.
"""

import json
import sqlite3
import sys
import time
from pathlib import Path

store, port = sys.argv[1:]
told = {}
told_all = False
with Path(port).open("w", buffering=1) as out:
    while True:
        try:
            database = sqlite3.connect(f"file:{store}?mode=ro", uri=True, timeout=5)
            while True:
                rows = database.execute(
                    "SELECT session_id, revision, acked_revision, state FROM sessions"
                )
                for session_id, revision, acked, state in rows:
                    if told.get(session_id) != (revision, acked):
                        told[session_id] = revision, acked
                        print(json.dumps([session_id, revision, acked, state]), file=out)
                if not told_all:
                    print(json.dumps("all"), file=out)
                    told_all = True
                time.sleep(0.05)
        except sqlite3.Error as error:
            print(json.dumps(str(error)), file=out)
            time.sleep(0.5)
