"""What the services may still do under their units, tried by a real systemd."""

import re
from pathlib import Path

import pytest

from tests.deploy.house import ROOT
from tests.deploy.machine import a_machine

pytestmark = [
    pytest.mark.timeout(300),
    pytest.mark.usefixtures("needs_machine"),
]

CLOCK = """
import ctypes, time
asked = ctypes.CDLL(None).adjtimex(ctypes.create_string_buffer(512))
print("asked" if asked >= 0 else "may not ask")
try:
    time.clock_settime(time.CLOCK_REALTIME, time.time())
    print("set")
except PermissionError:
    print("may not set")
"""


def test_watch_can_ask_the_kernel_whether_the_clock_is_right_and_never_sets_it(
    stick: Path,
) -> None:
    """Where chrony or ntpd keep the time, nobody else knows."""
    text = (ROOT / "deploy" / "systemd" / "blinklog-watch.service").read_text()
    text = re.sub("^Type=.*$", "Type=oneshot", text, flags=re.M)
    text = re.sub("^Restart=.*$", "", text, flags=re.M)
    text = re.sub("^ExecStart=.*$", "ExecStart=/usr/bin/python3 /opt/clock.py", text, flags=re.M)
    (stick / "tried.service").write_text(text)
    (stick / "clock.py").write_text(CLOCK)
    with a_machine(stick) as machine:
        machine.run("useradd --system --user-group blinklog; cp /run/share/clock.py /opt/")
        machine.run("cp /run/share/tried.service /etc/systemd/system/; systemctl daemon-reload")
        machine.run("systemctl start tried")
        said = machine.run("journalctl --unit tried --output cat").stdout
    assert said.splitlines()[1:3] == ["asked", "may not set"]
