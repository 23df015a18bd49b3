"""What can go wrong in a server's upgrade, and what runs afterwards.

On a machine with systemd and no network. The tests are one story, in order: each begins where the
one before ended.
"""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.deploy.house import ROOT, another, wheel_house
from tests.deploy.machine import Machine, a_machine

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(300),  # on a machine that does much else, too
    pytest.mark.usefixtures("needs_machine"),
]

LATEST = max(each.stem for each in (ROOT / "server/care/migrations").glob("[0-9]*.py"))
MIGRATION = """
from django.db import migrations

class Migration(migrations.Migration):
    dependencies = [("care", "{before}")]
    operations = [migrations.RunSQL("CREATE TABLE {table} (number integer)")]
"""
QUICK = {"PIP_NO_COMPILE": "1"}
UPGRADE = "/run/share/second/install-server.sh"
PREFIX = "/opt/blinklog-server"
BACKUPS = "/var/lib/blinklog-server/backups"
LOCK = "/run/blinklog-install-server/lock"
# The release's backup says when it begins, and ends no earlier than /run/slow.
SLOW = """
set -e
cd /opt/blinklog-server/releases/0.1.0/bin
mv blink-server real
cat > blink-server <<'SCRIPT'
#!/bin/sh
if [ "$1" = backup ] && [ -e /run/slow ]; then
  touch /run/slow/begun
  while [ -e /run/slow ]; do sleep 0.1; done
fi
exec /opt/blinklog-server/releases/0.1.0/bin/real "$@"
SCRIPT
chmod 755 blink-server
"""
# A terminal whose other end goes away as soon as there is a file.
TERMINAL = """
import os, pty, sys, time
pid, end = pty.fork()
if pid == 0:
    os.execv(sys.argv[1], sys.argv[1:2])
os.set_blocking(end, False)
limit = time.monotonic() + 90
while not os.path.exists(sys.argv[2]) and time.monotonic() < limit:
    try:
        os.read(end, 65536)
    except OSError:
        time.sleep(0.02)
"""


@pytest.fixture(scope="module")
def server(stick: Path) -> Iterator[Machine]:
    shutil.copytree(wheel_house("server"), stick / "first")
    another(stick / "first", stick / "second", "0.2.0", {})
    migrations = "server/care/migrations"
    changes = {f"{migrations}/0999_later.py": MIGRATION.format(before=LATEST, table="later")}
    another(stick / "first", stick / "third", "0.3.0", changes)
    changes = {f"{migrations}/1000_last.py": MIGRATION.format(before="0999_later", table="last")}
    another(stick / "third", stick / "fourth", "0.4.0", changes)
    another(stick / "fourth", stick / "fifth", "0.5.0", {})
    (stick / "terminal.py").write_text(TERMINAL)
    with a_machine(stick) as made:
        made.run("/run/share/first/install-server.sh --name blinklog.example.org", **QUICK)
        made.run("echo a-long-enough-secret | blink-server create-person eileen --password-stdin")
        yield made


def release(server: Machine) -> str:
    return server.run(f"basename $(readlink -f {PREFIX}/current)").stdout.strip()


def assert_runs(server: Machine, version: str) -> None:
    """That it is this release that answers, with the timers beside it, and nothing to undo."""
    assert release(server) == version
    server.run(
        "timeout 60 bash -c"
        " 'until curl -s 127.0.0.1:8000/readyz -H Host:localhost | grep -q ok; do sleep 0.2; done'"
    )
    server.run("systemctl is-active blinklog-serve blinklog-judge.timer blinklog-backup.timer")
    assert '"eileen"' in server.run("blink-server people --json").stdout
    server.run(f"test ! -e {PREFIX}/unproven")


def break_off(server: Machine, file: str) -> None:
    """Upgrade in a terminal that goes away when there is this file; returns once it has ended."""
    server.run(f"python3 /run/share/terminal.py {UPGRADE} {file}; rm -rf /run/slow", **QUICK)
    server.run(f"flock {LOCK} true")


def test_a_terminal_that_goes_away_in_the_backup_leaves_the_server_running(
    server: Machine,
) -> None:
    server.run(SLOW)
    server.run("mkdir -m 777 /run/slow")
    break_off(server, "/run/slow/begun")
    assert_runs(server, "0.1.0")


def test_a_terminal_that_goes_away_in_the_trial_takes_it_back(server: Machine) -> None:
    break_off(server, "/run/blinklog-server-trial")
    assert_runs(server, "0.1.0")


def test_a_backup_that_fails_leaves_the_server_running(server: Machine) -> None:
    server.run("mount -t tmpfs -o size=64k,mode=700,uid=blinklog-server tmpfs " + BACKUPS)
    failed = server.run(UPGRADE, check=False, **QUICK)
    server.run(f"umount {BACKUPS}")
    assert "the backup failed; nothing was changed" in failed.stdout
    assert failed.returncode != 0
    assert_runs(server, "0.1.0")


def cut_power_in_an_upgrade(server: Machine, house: str, file: str, damage: str) -> None:
    """As soon as there is this file, and something is damaged; then it boots again."""
    server.begin(f"/run/share/{house}/install-server.sh", **QUICK)
    server.run(f"timeout 90 bash -c 'until [ -e {file} ]; do sleep 0.02; done'; {damage}; sync")
    server.cut_power()
    server.boot()


def test_without_the_backup_it_goes_on_with_what_knows_the_database_and_says_so(
    server: Machine,
) -> None:
    damage = f"truncate -s 5000 {BACKUPS}/before-0.3.0-*"
    cut_power_in_an_upgrade(server, "third", "/run/blinklog-server-trial", damage)
    assert_runs(server, "0.3.0")
    assert "blinklog-server-undo" in server.run("systemctl --failed").stdout
    said = server.run("journalctl -b -u blinklog-server-undo").stdout
    assert "could not be restored: going on with 0.3.0" in said
    server.cut_power()
    server.boot()
    assert "blinklog-server-undo" not in server.run("systemctl --failed").stdout


def test_a_note_that_names_no_backup_keeps_nobody_waiting(server: Machine) -> None:
    note = f"{PREFIX}/unproven"
    cut_power_in_an_upgrade(server, "fourth", note, f": > {note}")
    assert_runs(server, "0.4.0")


def test_a_release_that_python_left_behind_is_backed_up_by_the_next(server: Machine) -> None:
    server.run(f"cd {PREFIX}/releases/0.4.0/lib; mv python3* python2")
    told = server.run("/run/share/fifth/install-server.sh", **QUICK).stdout
    assert "0.4.0 does not run here any more" in told
    assert_runs(server, "0.5.0")
    server.run(f"blink-server restore --replace $(ls {BACKUPS}/before-0.5.0-*)")
    assert '"eileen"' in server.run("blink-server people --json").stdout


def test_a_broker_that_does_not_take_the_server_is_told_of(server: Machine) -> None:
    server.run("echo BLINKLOG_MQTT_URL=mqtt://localhost:1 >> /etc/blinklog-server/environment")
    server.run("systemctl stop blinklog-serve")
    told = server.run("/run/share/fifth/install-server.sh", **QUICK).stdout
    assert "the server does not get through to its broker at localhost:1" in told
    assert "the broker can't be reached" in told
    assert_runs(server, "0.5.0")
