"""blink-server, as an administrator uses it."""

import contextlib
import io
import json
import os
import signal
import stat
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest
from django.core import signing

from server.care.access import visible_people
from server.care.models import Person, PersonToken
from server.devices.models import Device, DeviceToken
from server.operations import cli
from server.session_data.accept import accept_session
from tests.server.conftest import golden

BLINK_SERVER = Path(sys.executable).with_name("blink-server")
GOOD_PASSWORD = "kettle-Biscuit-7-moss"


@pytest.fixture
def run(world, capsys, monkeypatch, tmp_path):
    """Runs a command in this process; its exit status, output and errors."""
    monkeypatch.setenv("BLINKLOG_SECRET_KEY", "x" * 60)
    monkeypatch.setattr(os, "umask", lambda _: 0)

    def run_it(*arguments, stdin=""):
        monkeypatch.setattr(sys, "stdin", io.StringIO(stdin))
        status = cli.main(arguments)
        told = capsys.readouterr()
        return status, told.out, told.err

    return run_it


def test_a_person_is_created_with_a_password_from_standard_input(run):
    status, out, _ = run(
        "create-person", "dora", "--password-stdin", "--timezone", "Europe/Lisbon", "--token",
        "--json", stdin=GOOD_PASSWORD + "\n",
    )  # fmt: skip
    told = json.loads(out)
    dora = Person.objects.get(username="dora")
    assert (status, told["user"]) == (0, "dora")
    assert dora.check_password(GOOD_PASSWORD)
    assert (dora.timezone, dora.is_staff) == ("Europe/Lisbon", False)
    assert PersonToken.find(told["token"]).person == dora


def test_a_person_is_created_with_a_password_from_a_file(run, tmp_path):
    file = tmp_path / "password"
    file.write_text(GOOD_PASSWORD)
    assert run("create-person", "dora", "--password-file", str(file), "--admin")[0] == 0
    dora = Person.objects.get(username="dora")
    assert dora.check_password(GOOD_PASSWORD)
    assert dora.is_superuser


def test_a_person_without_a_password_can_not_log_in(run):
    assert run("create-person", "dora")[0] == 0
    assert not Person.objects.get(username="dora").has_usable_password()


@pytest.mark.parametrize(("again", "read"), [("a secret", "a secret"), ("another", "don't match")])
def test_at_a_terminal_a_password_is_asked_for_twice_and_not_shown(again, read):
    program = "import argparse; from server.care.management.shared import read_password as read;"
    program += "print(read(argparse.Namespace(password_file=None, password_stdin=True)))"
    end, theirs = os.openpty()
    command = [sys.executable, "-c", program]
    asker = subprocess.Popen(
        command, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True
    )
    os.close(theirs)
    shown = b""
    for asked, answer in ((b"Password: ", "a secret"), (b"Repeat password: ", again)):
        while asked not in shown:
            shown += os.read(end, 1000)
        assert b"secret" not in shown
        os.write(end, f"{answer}\n".encode())
    with contextlib.suppress(OSError):  # how a terminal says that nobody is there any more
        while more := os.read(end, 1000):
            shown += more
    asker.wait(10)
    os.close(end)
    assert read in shown.decode()


def test_no_command_takes_a_secret_as_an_argument():
    commands = cli.parser()._subparsers._group_actions[0].choices
    for name, command in commands.items():
        options = {word for action in command._actions for word in action.option_strings}
        assert not options & {"--password", "--token-text", "--secret"}, name


@pytest.mark.parametrize(
    ("arguments", "stdin", "said"),
    [
        (["create-person", "anna"], "", "already taken"),
        (["create-person", "a b"], "", "Use only letters, digits and"),
        (["create-person", "dora", "--timezone", "Mars"], "", "not a time zone"),
        (["create-person", "dora", "--language", "tlh"], "", "not a valid choice"),
        (["create-person", "dora", "--password-stdin"], "", "found nothing"),
        (["create-person", "dora", "--password-stdin"], "12345678", "too common"),
        (["create-person", "dora", "--password-file", "/no/such/file"], "", "No such file"),
        (["create-device", "--person", "nobody", "--name", "K"], "", "no person 'nobody'"),
        (["create-device", "--person", "anna", "--name", ""], "", "blank"),
        (["create-device", "--person", "anna", "--name", "x" * 65], "", "at most 64"),
        (["link", "carl", "anna"], "", "carl already has access to anna"),
        (["link", "anna", "anna"], "", "two different people"),
        (["link", "nobody", "anna"], "", "no person 'nobody'"),
        (["unlink", "otto", "anna"], "", "otto has no access to anna"),
        (["rotate-token", "Bathroom"], "", "found 0"),
        (["revoke-token", "Kitchen", "--prefix", "bld_xxx"], "", "found none"),
    ],
)
def test_what_can_not_be_done_is_said_and_changes_nothing(run, arguments, stdin, said):
    before = (Person.objects.count(), Device.objects.count(), DeviceToken.objects.count())
    status, out, err = run(*arguments, stdin=stdin)
    assert (status, out) == (1, "")
    assert err.startswith("blink-server: ")
    assert said in err
    after = (Person.objects.count(), Device.objects.count(), DeviceToken.objects.count())
    assert after == before


def test_a_device_is_created_with_a_token_that_is_shown_once(run, world):
    _, out, _ = run("create-device", "--person", "anna", "--name", "Bathroom", "--json")
    told = json.loads(out)
    device = Device.objects.get(pk=told["device"])
    assert (device.person, device.label) == (world.anna, "Bathroom")
    assert DeviceToken.find(told["token"]).device == device
    assert told["token"] not in run("devices")[1]


def test_without_json_the_secrets_are_readable_too(run):
    out = run("create-device", "--person", "anna", "--name", "Bathroom")[1]
    device = Device.objects.get(label="Bathroom")
    assert f"device: {device.pk}" in out
    assert "token: bld_" in out


def test_a_rotated_token_works_beside_the_last_one_until_that_is_revoked(run, world):
    old = world.tokens["device"]
    new = json.loads(run("rotate-token", "Kitchen", "--json")[1])["token"]
    assert DeviceToken.find(old)
    assert DeviceToken.find(new)
    assert run("revoke-token", str(world.device.pk), "--prefix", old)[0] == 0
    assert DeviceToken.find(old) is None
    assert DeviceToken.find(new)


def test_a_revoked_device_keeps_its_past(run, world):
    accept_session(world.device, golden("final"))
    assert run("revoke-device", "Kitchen")[0] == 0
    world.device.refresh_from_db()
    assert world.device.revoked_at is not None
    assert world.anna.sessions.count() == 1


def test_links_are_made_and_ended(run, world):
    assert run("create-link", "otto", "anna")[0] == 0
    assert world.anna in visible_people(world.otto)
    assert run("unlink", "otto", "anna")[0] == 0
    assert world.anna not in visible_people(world.otto)
    assert run("link", "otto", "anna")[0] == 0


def test_people_and_devices_are_listed(run, world):
    people = [json.loads(line) for line in run("people", "--json")[1].splitlines()]
    assert {p["user"]: p["may_see"] for p in people}["carl"] == ["anna"]
    devices = [json.loads(line) for line in run("devices", "--json")[1].splitlines()]
    assert {d["name"]: d["user"] for d in devices} == {"Kitchen": "anna", "Otto's": "otto"}
    assert "carl  can see: anna" in run("people")[1]
    assert "Kitchen of anna, last seen never" in run("devices")[1]


# The real program


@pytest.fixture
def installed(tmp_path):
    """Runs the program with a data folder of its own."""
    environment = {
        **{name: value for name, value in os.environ.items() if name != "DATABASE_URL"},
        "BLINKLOG_DATA_DIR": str(tmp_path / "data"),
        "BLINKLOG_ALLOWED_HOSTS": "127.0.0.1",
    }

    def run_it(*arguments, **more):
        return subprocess.run(
            [BLINK_SERVER, *arguments],
            env=environment | more,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    run_it.environment = environment
    return run_it


def test_what_it_keeps_nobody_else_can_read(installed, tmp_path):
    assert installed("migrate", "--quiet").returncode == 0
    for path in [tmp_path / "data", *(tmp_path / "data").iterdir()]:
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path
    first = (tmp_path / "data" / "secret_key").read_text()
    assert len(first) > 50
    installed("migrate", "--quiet")
    assert (tmp_path / "data" / "secret_key").read_text() == first


SIGN = """
from server.operations.cli import set_up
set_up()
from django.core.signing import dumps
print(dumps("a cookie"))
"""


def signed_at_first_start(installed, **more):
    """What the very first process of an installation signs."""
    environment = installed.environment | {"DJANGO_SETTINGS_MODULE": "server.config.settings"}
    return subprocess.check_output(
        [sys.executable, "-c", SIGN], env=environment | more, text=True
    ).strip()


def test_the_process_that_makes_the_key_signs_with_it(installed, tmp_path):
    signed = signed_at_first_start(installed)
    key = (tmp_path / "data" / "secret_key").read_text().strip()
    assert signing.loads(signed, key=key) == "a cookie"


@pytest.mark.parametrize("named", ["BLINKLOG_SECRET_KEY", "BLINKLOG_SECRET_KEY_FILE"])
def test_a_key_that_is_named_is_the_one_that_signs(installed, tmp_path, named):
    (tmp_path / "key").write_text("x" * 60 + "\n")
    value = str(tmp_path / "key") if named.endswith("FILE") else "x" * 60
    assert signing.loads(signed_at_first_start(installed, **{named: value}), key="x" * 60)


@pytest.mark.parametrize("command", ["serve", "consume"])
def test_it_refuses_to_run_on_a_database_that_was_not_migrated(installed, command):
    done = installed(command)
    assert done.returncode == 1
    assert "run `blink-server migrate`" in done.stderr


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("BLINKLOG_DEBUG", "perhaps", "expected 1 or 0"),
        ("BLINKLOG_TRUSTED_PROXIES", "-1", "expected a whole number"),
        ("BLINKLOG_SECRET_KEY_FILE", "/no/such/file", "No such file"),
        ("BLINKLOG_DATA_DIR", "/proc/nowhere", "can't set up the secret key"),
        ("DATABASE_URL", "postgres://x@127.0.0.1:1/x", "database error"),
        ("DATABASE_URL", "nonsense", "DATABASE_URL"),
    ],
)
def test_a_setting_that_can_not_work_is_refused_by_name(installed, name, value, said):
    done = installed("people", **{name: value})
    assert done.returncode == 1
    assert said in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("url", ["http://x", "mqtt://", "mqtt://x:port", "nonsense"])
def test_a_brokers_address_that_is_none_is_refused(installed, url):
    installed("migrate", "--quiet")
    done = installed("consume", BLINKLOG_MQTT_URL=url)
    assert done.returncode == 1
    assert "BLINKLOG_MQTT_URL" in done.stderr


def test_it_serves_until_it_is_told_to_stop(installed, tmp_path):
    installed("migrate", "--quiet")
    log = (tmp_path / "log").open("w+")
    process = subprocess.Popen(
        [BLINK_SERVER, "serve", "--bind", "127.0.0.1:0", "--workers", "1"],
        env=installed.environment,
        stderr=log,
    )
    try:
        base = address_in(tmp_path / "log", process)
        with urllib.request.urlopen(base + "/readyz", timeout=10) as answer:
            assert json.load(answer)["status"] == "ok"
        with urllib.request.urlopen(base + "/static/admin/css/base.css", timeout=10) as answer:
            assert answer.status == 200
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
    finally:
        process.kill()
        process.wait()
        log.close()


def address_in(log, process):
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline and process.poll() is None:
        for line in log.read_text().splitlines():
            if "Listening at: " in line:
                return line.partition("Listening at: ")[2].split()[0]
        time.sleep(0.05)
    pytest.fail(log.read_text())
