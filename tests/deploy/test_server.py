"""The server's installer, run for real on a machine with systemd and no network.

The tests are one story, in order: each begins where the one before ended.
"""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.broker import needs_mosquitto
from tests.deploy.house import ROOT, another, wheel_house
from tests.deploy.machine import Machine, a_machine

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(300),  # on a machine that does much else, too
    pytest.mark.usefixtures("needs_machine"),
    needs_mosquitto,
]

QUICK = {"PIP_NO_COMPILE": "1"}
INSTALL = "/run/share/first/install-server.sh"
ALL = "blinklog-serve blinklog-consume blinklog-backup.timer blinklog-judge.timer mosquitto"
LATEST = max(each.stem for each in (ROOT / "server/care/migrations").glob("[0-9]*.py"))
CHANGES_THE_DATABASE = f"""
from django.db import migrations

class Migration(migrations.Migration):
    dependencies = [("care", "{LATEST}")]
    operations = [migrations.RunSQL("CREATE TABLE later (number integer)")]
"""
BREAKS_THE_SERVICE = """
import os
if "BLINKLOG_BIND" in os.environ:
    raise RuntimeError("this release can't serve here")
"""
TABLES = """python3 -c '
import sqlite3
file = sqlite3.connect("/var/lib/blinklog-server/blinklog.sqlite3")
print(*file.execute("SELECT name FROM sqlite_master").fetchall())'"""
PEOPLE = "blink-server people --json"


@pytest.fixture(scope="module")
def server(stick: Path) -> Iterator[Machine]:
    shutil.copytree(wheel_house("server"), stick / "first")
    with a_machine(stick) as made:
        made.run("echo 127.0.0.1 blinklog.example.org >> /etc/hosts")
        yield made


def active(server: Machine, units: str = ALL) -> set[str]:
    return set(server.run(f"systemctl is-active {units}", check=False).stdout.split())


def page(server: Machine, path: str) -> str:
    """Status and body of an answer, as the proxy would ask for it."""
    headers = "-H 'Host: blinklog.example.org' -H 'X-Forwarded-Proto: https'"
    return server.run(f"curl -s -w '%{{http_code}}' {headers} http://127.0.0.1:8000{path}").stdout


def release(server: Machine) -> str:
    return server.run("basename $(readlink -f /opt/blinklog-server/current)").stdout.strip()


def test_a_fresh_server_answers_takes_devices_and_judges(server: Machine) -> None:
    server.run(f"{INSTALL} --name blinklog.example.org --broker", **QUICK)
    assert active(server) == {"active"}
    assert json.loads(page(server, "/readyz").removesuffix("200"))["status"] == "ok"
    assert page(server, "/login/").endswith("200")
    server.run("echo a-long-enough-secret | blink-server create-person eileen --password-stdin")
    made = server.run("blink-server create-device --person eileen --name Kitchen --json").stdout
    assert json.loads(made)["mqtt_password"]
    server.run("systemctl start blinklog-judge blinklog-tidy")


def test_nobody_else_reads_the_data_or_the_secrets(server: Machine) -> None:
    modes = server.run(
        "stat -c '%a %U %G' /var/lib/blinklog-server /etc/blinklog-server/environment"
        " /etc/blinklog-server/mqtt-password /etc/mosquitto/blinklog/ca.key"
    ).stdout.splitlines()
    group = "root blinklog-server"
    assert modes == [
        "700 blinklog-server blinklog-server",
        f"640 {group}",
        f"640 {group}",
        "600 root root",
    ]


def test_the_nightly_backup_is_one_that_can_be_restored(server: Machine) -> None:
    server.run("systemctl start blinklog-backup")
    file = server.run("ls /var/lib/blinklog-server/backups/*.zip").stdout.strip()
    restored = server.run(f"blink-server restore --replace {file} --json").stdout
    assert json.loads(restored)["made_at"]


def test_a_second_run_changes_nothing_and_restarts_nothing(server: Machine) -> None:
    state = "systemctl show -p InvocationID blinklog-serve blinklog-consume"
    state += "; md5sum /etc/blinklog-server/* /etc/mosquitto/blinklog/*"
    before = server.run(state, check=False).stdout
    assert "nothing to do" in server.run(INSTALL, **QUICK).stdout
    assert server.run(state, check=False).stdout == before


def test_a_release_that_does_not_stand_is_taken_back_and_the_database_with_it(
    server: Machine, stick: Path
) -> None:
    people = server.run(PEOPLE).stdout
    changes = {
        "server/care/migrations/0999_later.py": CHANGES_THE_DATABASE,
        "server/gunicorn.py": BREAKS_THE_SERVICE,
    }
    another(stick / "first", stick / "second", "0.2.0", changes)
    refused = server.run("/run/share/second/install-server.sh", check=False, **QUICK)
    assert refused.returncode != 0
    assert "this release can't serve here" in refused.stdout
    assert "0.2.0 failed, and was taken back: 0.1.0 runs again" in refused.stdout
    assert release(server) == "0.1.0"
    assert active(server) == {"active"}
    assert "later" not in server.run(TABLES).stdout
    assert server.run(PEOPLE).stdout == people


def test_power_cut_in_an_upgrade_goes_back_and_another_run_mends(
    server: Machine, stick: Path
) -> None:
    people = server.run(PEOPLE).stdout
    changes = {"server/care/migrations/0999_later.py": CHANGES_THE_DATABASE}
    another(stick / "first", stick / "third", "0.3.0", changes)
    server.begin("/run/share/third/install-server.sh", **QUICK)
    begun = "until [ -e /opt/blinklog-server/unproven ]; do sleep 0.02; done"
    server.run(f"timeout 90 bash -c '{begun}'")
    server.cut_power()
    server.boot()
    assert release(server) == "0.1.0"
    assert active(server) == {"active"}
    assert server.run(PEOPLE).stdout == people
    server.run("/run/share/third/install-server.sh", **QUICK)
    assert release(server) == "0.3.0"
    assert server.run(PEOPLE).stdout == people


def test_uninstalling_keeps_or_deletes_as_told(server: Machine) -> None:
    uninstall = "/run/share/first/install-server.sh --uninstall"
    assert server.run(uninstall, check=False).returncode != 0
    server.run(f"{uninstall} --keep-data")
    server.run("test -s /var/lib/blinklog-server/blinklog.sqlite3")
    server.run(f"{uninstall} --delete-data")
    left = "ls -d /var/lib/blinklog-server /etc/blinklog-server /opt/blinklog-server"
    assert "No such file" in server.run(left, check=False).stdout
    assert server.run("getent passwd blinklog-server", check=False).stdout == ""


def test_postgresql_is_set_up_used_backed_up_and_taken_away(server: Machine) -> None:
    if not server.run("ls /etc/postgresql/*/main 2>/dev/null", check=False).stdout:
        pytest.skip("PostgreSQL with a cluster of Debian's is not installed")
    server.run("pg_lsclusters -h | while read v c _; do systemctl start postgresql@$v-$c; done")
    server.run(f"{INSTALL} --name blinklog.example.org --postgres", **QUICK)
    server.run("echo a-long-enough-secret | blink-server create-person eileen --password-stdin")
    server.run("test ! -e /var/lib/blinklog-server/blinklog.sqlite3")
    assert page(server, "/login/").endswith("200")
    server.run("systemctl start blinklog-backup blinklog-judge")
    file = server.run("ls /var/lib/blinklog-server/backups/*.zip").stdout.strip()
    server.run("systemctl stop blinklog-serve")
    server.run(f"blink-server restore --replace {file}")
    assert '"eileen"' in server.run(PEOPLE).stdout
    server.run(f"{INSTALL} --uninstall --delete-data")
    databases = "cd / && setpriv --reuid postgres psql -lqt"
    assert "blinklog" not in server.run(databases).stdout
