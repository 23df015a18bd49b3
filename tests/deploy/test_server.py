"""The server's installer, run for real on a machine with systemd and no network.

The tests are one story, in order: each begins where the one before ended.
"""

import json
import shutil
import ssl
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.broker import needs_mosquitto
from tests.deploy.house import ROOT, another, wheel_house
from tests.deploy.machine import Machine, a_machine

pytestmark = [
    pytest.mark.timeout(300),  # on a machine that does much else, too
    pytest.mark.usefixtures("needs_machine"),
    needs_mosquitto,
]

QUICK = {"PIP_NO_COMPILE": "1"}
INSTALL = "/run/share/first/install-server.sh"
ALL = (
    "blinklog-serve blinklog-consume blinklog-backup.timer blinklog-judge.timer"
    " blinklog-certificate.timer mosquitto"
)
SERVER = "blinklog-serve blinklog-consume blinklog-{backup,judge,tidy,certificate}.timer"
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
BACKUPS = "/var/lib/blinklog-server/backups"
CERTIFICATE = "/opt/blinklog-server/current/deploy/server/broker-certificate.sh"
LET_IT_EXPIRE = """
set -e
cd /etc/mosquitto/blinklog
openssl req -new -key server.key -subj /CN=blinklog.example.org -out /root/csr
openssl x509 -req -in /root/csr -CA ca.crt -CAkey ca.key -days 0 -out /root/crt \
  -extfile <(echo subjectAltName=DNS:blinklog.example.org,DNS:localhost,IP:127.0.0.1)
cp /root/crt server.crt
sleep 2
systemctl reload mosquitto
"""
# What a device sees that trusts the authority and looks at the name.
MEET_THE_BROKER = (
    "openssl s_client -connect 127.0.0.1:8883 -CAfile /etc/mosquitto/blinklog/ca.crt"
    " -verify_hostname blinklog.example.org -verify_return_error </dev/null 2>&1"
)
SMALL_DISK = """
set -e
systemctl stop 'blinklog-*'
cp -a /var/lib/blinklog-server /root/data
mount -t tmpfs -o size=20m,mode=700 tmpfs /var/lib/blinklog-server
chown blinklog-server: /var/lib/blinklog-server
cp -a /root/data/. /var/lib/blinklog-server/
echo BLINKLOG_DISK_RESERVE_MB=1 >> /etc/blinklog-server/environment
systemctl start blinklog-serve blinklog-consume
"""
NO_SMALL_DISK = """
systemctl stop 'blinklog-*'
umount /var/lib/blinklog-server
sed -i /BLINKLOG_DISK_RESERVE_MB/d /etc/blinklog-server/environment
systemctl start blinklog-serve blinklog-consume blinklog-{backup,judge,tidy,certificate}.timer
"""


@pytest.fixture(scope="module")
def server(stick: Path) -> Iterator[Machine]:
    shutil.copytree(wheel_house("server"), stick / "first")
    with a_machine(stick) as made:
        yield made


def active(server: Machine, units: str = ALL) -> set[str]:
    return set(server.run(f"systemctl is-active {units}", check=False).stdout.split())


def page(server: Machine, path: str) -> str:
    """Status and body of an answer, as the proxy would ask for it."""
    headers = "-H 'Host: blinklog.example.org' -H 'X-Forwarded-Proto: https'"
    return server.run(f"curl -s -w '%{{http_code}}' {headers} http://127.0.0.1:8000{path}").stdout


def send(server: Machine, token: str) -> str:
    """Status and body of the answer to a device that sends a session."""
    headers = "-H 'Host: blinklog.example.org' -H 'X-Forwarded-Proto: https'"
    headers += f" -H 'Authorization: Bearer {token}' -H 'Content-Type: application/json'"
    address = "http://127.0.0.1:8000/api/session/start/"
    document = "--data-binary @/run/share/started.json"
    return server.run(f"curl -s -w '%{{http_code}}' {headers} {document} {address}").stdout


def wait_until(server: Machine, test: str) -> None:
    """Until a shell's command succeeds."""
    server.run(f"timeout 60 bash -c 'until {test}; do sleep 0.2; done'")


def wait_for_the_consumer(server: Machine, times: int = 1) -> None:
    """Until this process of it has said so often that it has broker and database."""
    said = "journalctl _SYSTEMD_INVOCATION_ID=$(systemctl show -P InvocationID blinklog-consume)"
    wait_until(server, f"[ $({said} | grep -c consuming) -ge {times} ]")


def release(server: Machine) -> str:
    return server.run("basename $(readlink -f /opt/blinklog-server/current)").stdout.strip()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("theirs", "undo"),
    [
        ("/etc/mosquitto/conf.d/theirs.conf", "rm"),
        ("/etc/mosquitto/mosquitto.conf", "sed -i '$d'"),
    ],
)
def test_a_broker_that_somebody_uses_is_not_taken_from_them(
    server: Machine, theirs: str, undo: str
) -> None:
    server.run(f"echo 'listener 1884' >> {theirs}; systemctl restart mosquitto")
    refused = server.run(f"{INSTALL} --name blinklog.example.org --broker", check=False, **QUICK)
    assert refused.returncode != 0
    assert f"found one that is set up by {theirs}:" in refused.stdout
    server.run("echo > /dev/tcp/127.0.0.1/1884")
    server.run("! ls -d /etc/blinklog-server /opt/blinklog-server /etc/mosquitto/blinklog")
    server.run(f"{undo} {theirs}; systemctl restart mosquitto")


def test_a_fresh_server_answers_takes_devices_and_judges(server: Machine) -> None:
    told = server.run(f"{INSTALL} --name blinklog.example.org --broker", **QUICK).stdout
    assert "does not get through to its broker" not in told
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


def test_after_a_reboot_and_without_its_broker_for_a_while_all_of_it_is_back(
    server: Machine,
) -> None:
    server.cut_power()
    server.boot()
    assert active(server) == {"active"}
    wait_until(server, "curl -s 127.0.0.1:8000/readyz -H Host:localhost | grep -q ok")
    wait_for_the_consumer(server)
    process = server.run("systemctl show -P MainPID blinklog-consume").stdout
    server.run("kill -KILL $(systemctl show -P MainPID mosquitto)")
    wait_for_the_consumer(server, times=2)
    assert active(server) == {"active"}
    assert server.run("systemctl show -P MainPID blinklog-consume").stdout == process


@pytest.mark.slow
def test_a_hung_server_is_begun_anew(server: Machine) -> None:
    watched = server.run("systemctl show -P WatchdogUSec blinklog-serve").stdout.strip()
    assert watched == "1min"
    folder = "/run/systemd/system/blinklog-serve.service.d"
    server.run(f"mkdir -p {folder}; printf '[Service]\\nWatchdogSec=5\\n' > {folder}/short.conf")
    server.run("systemctl daemon-reload; systemctl restart blinklog-serve")
    server.run("kill -STOP $(systemctl show -P MainPID blinklog-serve)")
    wait_until(server, "systemctl show -P NRestarts blinklog-serve | grep -q [1-9]")
    wait_until(server, "curl -s 127.0.0.1:8000/readyz -H Host:localhost | grep -q ok")
    server.run(f"rm -r {folder}; systemctl daemon-reload")
    server.run("systemctl restart blinklog-serve")


def test_the_nightly_backup_is_one_that_can_be_restored(server: Machine) -> None:
    server.run("systemctl start blinklog-backup")
    file = server.run("ls /var/lib/blinklog-server/backups/*.zip").stdout.strip()
    restored = server.run(f"blink-server restore --replace {file} --json").stdout
    assert json.loads(restored)["made_at"]


def test_a_second_run_changes_nothing_and_restarts_nothing(server: Machine) -> None:
    state = "systemctl show -p InvocationID blinklog-serve blinklog-consume mosquitto"
    state += "; md5sum /etc/blinklog-server/* /etc/mosquitto/blinklog/*"
    before = server.run(state, check=False).stdout
    assert "nothing to do" in server.run(f"{INSTALL} --broker", **QUICK).stdout
    assert server.run(state, check=False).stdout == before


def test_the_brokers_certificate_lasts_as_long_as_its_authority_twenty_years(
    server: Machine,
) -> None:
    ends = "for each in ca server; do openssl x509 -noout -enddate -in $each.crt; done"
    said = server.run(f"cd /etc/mosquitto/blinklog; {ends}").stdout
    dates = [line.partition("=")[2] for line in said.splitlines()]
    authority_s, certificate_s = map(ssl.cert_time_to_seconds, dates)
    assert 0 <= authority_s - certificate_s <= 86400, "in whole days, and never longer"
    nearly = "openssl x509 -noout -checkend $((7298 * 86400)) -in"
    server.run(f"cd /etc/mosquitto/blinklog; {nearly} server.crt")
    server.run("systemctl start blinklog-certificate")
    said = server.run("journalctl -b -u blinklog-certificate").stdout
    assert "localhost:8883 is good until 204" in said
    assert "/etc/mosquitto/blinklog/ca.crt is good until 204" in said


@pytest.mark.slow
def test_a_certificate_that_ends_is_told_of_and_renewed_by_another_run(server: Machine) -> None:
    server.run(LET_IT_EXPIRE)
    wait_until(server, f"! {MEET_THE_BROKER}")
    assert "certificate has expired" in server.run(MEET_THE_BROKER, check=False).stdout
    assert server.run("systemctl start blinklog-certificate", check=False).returncode != 0
    said = server.run("journalctl -b -u blinklog-certificate").stdout
    assert "the certificate of the broker at localhost:8883 ends on" in said
    broker = server.run("systemctl show -P MainPID mosquitto").stdout

    server.run("mv /etc/mosquitto/blinklog/ca.key /root")
    name = "blinklog.example.org"
    assert "bring ca.key back" in server.run(f"{CERTIFICATE} make {name}").stdout
    assert "certificate has expired" in server.run(MEET_THE_BROKER, check=False).stdout

    server.run("mv /root/ca.key /etc/mosquitto/blinklog")
    assert "renewed the broker's certificate" in server.run(INSTALL, **QUICK).stdout
    wait_until(server, MEET_THE_BROKER)
    names = "openssl x509 -noout -ext subjectAltName -in /etc/mosquitto/blinklog/server.crt"
    assert (
        "DNS:blinklog.example.org, DNS:localhost, IP Address:127.0.0.1" in server.run(names).stdout
    )
    server.run("systemctl start blinklog-certificate")
    assert server.run("systemctl show -P MainPID mosquitto").stdout == broker
    server.run("systemctl restart blinklog-consume")
    wait_for_the_consumer(server)


@pytest.mark.slow
def test_on_a_full_disk_people_still_read_devices_wait_and_nothing_is_left_half_made(
    server: Machine, stick: Path
) -> None:
    shutil.copy(ROOT / "tests/golden/started.json", stick)
    made = server.run("blink-server create-device --person eileen --name Full --json").stdout
    token = json.loads(made)["token"]
    server.run(SMALL_DISK)
    try:
        wait_until(server, "curl -s 127.0.0.1:8000/readyz -H Host:localhost | grep -q ok")
        files = f"ls -A {BACKUPS}"
        before = server.run(files).stdout
        server.run("cat /dev/zero > /var/lib/blinklog-server/fill", check=False)
        assert page(server, "/login/").endswith("200")
        assert send(server, token).endswith("503")
        assert server.run("systemctl start blinklog-backup", check=False).returncode != 0
        said = server.run("journalctl -b -u blinklog-backup").stdout
        assert f"MB free in {BACKUPS}, found 0 MB" in said
        server.run("rm /var/lib/blinklog-server/fill")
        answer, until_s = send(server, token), time.monotonic() + 30
        while '"stored"' not in answer and time.monotonic() < until_s:
            time.sleep(1)  # the free space is read every five seconds
            answer = send(server, token)
        assert '"stored"' in answer
        server.run(f"blink-server backup {BACKUPS}/now.zip; rm {BACKUPS}/now.zip")
        assert server.run(files).stdout == before
        assert server.run("systemctl show -P NRestarts blinklog-serve").stdout == "0\n"
    finally:
        server.run(NO_SMALL_DISK)


@pytest.mark.slow
def test_a_release_that_does_not_stand_is_taken_back_and_the_database_with_it(
    server: Machine, stick: Path
) -> None:
    people = server.run(PEOPLE).stdout
    changes = {
        "server/care/migrations/0999_later.py": CHANGES_THE_DATABASE,
        "server/operations/gunicorn.py": BREAKS_THE_SERVICE,
    }
    another(stick / "first", stick / "second", "0.2.0", changes)
    server.run("echo BLINKLOG_UPGRADE_BACKUPS=2 >> /etc/blinklog-server/environment")
    for day in range(1, 5):  # newer than the one that is to be gone back to, as clocks may be
        server.run(f"touch -d 2040-01-0{day} {BACKUPS}/before-0.0.{day}.zip")
    refused = server.run("/run/share/second/install-server.sh", check=False, **QUICK)
    assert refused.returncode != 0
    assert "this release can't serve here" in refused.stdout
    assert "0.2.0 failed, and was taken back: 0.1.0 runs again" in refused.stdout
    assert release(server) == "0.1.0"
    assert active(server) == {"active"}
    assert "later" not in server.run(TABLES).stdout
    assert server.run(PEOPLE).stdout == people
    kept = server.run(f"cd {BACKUPS}; ls before-*").stdout.split()
    assert kept[:2] == ["before-0.0.3.zip", "before-0.0.4.zip"]
    assert [each.split("-")[1] for each in kept[2:]] == ["0.2.0"]
    server.run(f"rm {BACKUPS}/before-0.0.*")


@pytest.mark.slow
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
    server.run("test ! -e /opt/blinklog-server/unproven")
    assert release(server) == "0.1.0"
    assert active(server) == {"active"}
    assert server.run(PEOPLE).stdout == people
    server.run("/run/share/third/install-server.sh", **QUICK)
    assert release(server) == "0.3.0"
    assert server.run(PEOPLE).stdout == people


@pytest.mark.slow
def test_on_a_new_machine_what_was_kept_safe_makes_the_same_server(server: Machine) -> None:
    made = server.run("blink-server create-device --person eileen --name Moved --json").stdout
    device = json.loads(made)["device"]
    kept = "/etc/blinklog-server /etc/mosquitto/blinklog /var/lib/mosquitto/dynamic-security.json"
    assert f"tar -czf kept.tar.gz {kept}\n" in (ROOT / "docs/install.md").read_text()
    server.run(f"tar -czf /root/kept.tar.gz {kept} 2>&1; blink-server backup {BACKUPS}/last.zip")
    server.run(f"mv {BACKUPS}/last.zip /root; {INSTALL} --uninstall --delete-data")
    server.run(f"tar -C / -xzpf /root/kept.tar.gz; chown -R nobody:nogroup {kept}")

    told = server.run("/run/share/third/install-server.sh --broker", **QUICK).stdout
    assert "does not get through to its broker" not in told
    assert "made a certificate" not in told
    server.run("systemctl stop blinklog-serve blinklog-consume 'blinklog-*.timer'")
    server.run(f"install -o blinklog-server -m 600 /root/last.zip {BACKUPS}")
    server.run(f"blink-server restore --replace {BACKUPS}/last.zip; systemctl start {SERVER}")
    assert active(server) == {"active"}
    assert device in server.run("blink-server devices --json").stdout
    assert device in server.run("cat /var/lib/mosquitto/dynamic-security.json").stdout
    server.run("stat -c %U:%a /etc/mosquitto/blinklog/ca.key | grep root:600")


@pytest.mark.slow
def test_uninstalling_keeps_or_deletes_as_told(server: Machine) -> None:
    uninstall = "/run/share/first/install-server.sh --uninstall"
    assert server.run(uninstall, check=False).returncode != 0
    server.run(f"{uninstall} --keep-data")
    server.run("! echo > /dev/tcp/127.0.0.1/8883", check=True)
    server.run("systemctl is-active mosquitto; echo > /dev/tcp/127.0.0.1/1883")
    server.run("test -s /var/lib/blinklog-server/blinklog.sqlite3")
    server.run(f"{uninstall} --delete-data")
    left = "ls -d /var/lib/blinklog-server /etc/blinklog-server /opt/blinklog-server"
    assert "No such file" in server.run(left, check=False).stdout
    assert server.run("getent passwd blinklog-server", check=False).stdout == ""


@pytest.mark.slow
def test_postgresql_is_set_up_used_backed_up_and_taken_away(server: Machine) -> None:
    if not server.run("ls /etc/postgresql/*/main 2>/dev/null", check=False).stdout:
        pytest.skip("PostgreSQL with a cluster of Debian's is not installed")
    server.run("pg_lsclusters -h | while read v c _; do systemctl start postgresql@$v-$c; done")
    server.run(f"{INSTALL} --name blinklog.example.org --postgres", **QUICK)
    server.run("echo a-long-enough-secret | blink-server create-person eileen --password-stdin")
    server.run("test ! -e /var/lib/blinklog-server/blinklog.sqlite3")
    assert page(server, "/login/").endswith("200")
    server.run("systemctl start blinklog-backup blinklog-judge")
    server.run("systemctl restart postgresql")
    assert page(server, "/login/").endswith("200")
    server.cut_power()
    server.boot()
    wait_until(server, "curl -s 127.0.0.1:8000/readyz -H Host:localhost | grep -q ok")
    file = server.run("ls /var/lib/blinklog-server/backups/*.zip").stdout.strip()
    server.run("systemctl stop blinklog-serve")
    server.run(f"blink-server restore --replace {file}")
    assert '"eileen"' in server.run(PEOPLE).stdout
    server.run(f"{INSTALL} --uninstall --delete-data")
    databases = "cd / && setpriv --reuid postgres psql -lqt"
    assert "blinklog" not in server.run(databases).stdout
