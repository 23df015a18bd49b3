"""What these tests change in a release or on a device: what breaks it, and what takes its time."""

CONFIG = """
[camera]
source = "replay"
file = "/opt/face.avi"
loop = true
[controls]
pins = "mock"
"""
QUICK = {"BLINKLOG_SETTLE_S": "1", "PIP_NO_COMPILE": "1"}
BREAKS_INFERENCE = """
def _start(*_):
    raise RuntimeError("this runtime can't run on this machine")
"""
BREAKS_WATCH = """
def _run(self, stopping):
    raise RuntimeError("this release can't watch")
Watch.run = _run
"""
SERVER = """
import time
from pathlib import Path
from tests.agent.servers import TOKEN, Api, History
api = Api(History())
device = "0193a1b2-0000-7000-8000-000000000001"
api.codes["ABCD2345"] = {"device": device, "token": TOKEN, "label": "Kitchen"}
api.start()
Path("/run/share/url").write_text(api.url)
time.sleep(600)
"""
PARKS = """
import json, sys, uuid
from pathlib import Path
from agent.store.store import Store
store, final = Store(Path('/var/lib/blinklog/agent.sqlite3')), json.load(sys.stdin)
for _ in range(400):
    final['session_id'] = str(uuid.uuid4())
    assert store.put(final)
    assert store.park(final['session_id'], final['revision'], 'x' * 500)
store.close()
"""
NEWER_SCHEMA = """
MIGRATIONS = (*MIGRATIONS, "CREATE TABLE later (number INTEGER) STRICT;")
"""

SELF_TEST_TAKES_ITS_TIME = """
_quickly = _check_imports
def _check_imports():
    time.sleep(5)
    _quickly()
"""
LATER_UNIT = """
[Service]
ExecStart=/bin/true
[Install]
WantedBy=multi-user.target
"""
TERMINAL = """
import os, pty, sys
child, terminal = pty.fork()
if child == 0:
    os.execv(sys.argv[1], sys.argv[1:])
while os.read(terminal, 1000):
    pass
"""
