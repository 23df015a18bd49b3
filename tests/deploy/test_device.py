"""The device's installer, run for real on a machine with systemd and no network.

The tests are one story, in order: each begins where the one before ended.
"""

import json
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.agent.documents import golden
from tests.deploy.changes import (
    BREAKS_INFERENCE,
    BREAKS_WATCH,
    CONFIG,
    LATER_UNIT,
    NEWER_SCHEMA,
    PARKS,
    QUICK,
    SELF_TEST_TAKES_ITS_TIME,
    SERVER,
    TERMINAL,
)
from tests.deploy.house import another, seal, wheel_house
from tests.deploy.machine import Machine, a_machine

pytestmark = [
    pytest.mark.timeout(300),  # on a machine that does much else, too
    pytest.mark.usefixtures("needs_machine"),
]


ROOT = Path(__file__).resolve().parents[2]
INSTALL = "/run/share/first/install.sh --no-camera-packages"
LINKS = "readlink -e /opt/blinklog/current /opt/blinklog/previous"
BOTH = "systemctl is-active blinklog-watch blinklog-sync"


@pytest.fixture(scope="module")
def device(stick: Path) -> Iterator[Machine]:
    shutil.copytree(wheel_house("device"), stick / "first")
    with a_machine(stick) as made:
        _prepare(made, stick)
        yield made


def _prepare(made: Machine, stick: Path) -> None:
    (stick / "agent.toml").write_text(CONFIG)
    _write_video(stick / "face.avi")
    made.run("cp /run/share/face.avi /opt && install -D /run/share/agent.toml -t /etc/blinklog")


def _write_video(path: Path) -> None:
    video = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 15, (320, 240))
    for _ in range(5):
        video.write(np.full((240, 320, 3), 128, np.uint8))
    video.release()


def release(device: Machine) -> str:
    """The current one, which the command is of, too."""
    current = device.run("basename $(readlink -f /opt/blinklog/current)").stdout.strip()
    assert device.run("blink-agent --version").stdout.strip() == current
    return current


def test_a_damaged_stick_changes_nothing(device: Machine, stick: Path) -> None:
    bad = shutil.copytree(stick / "first", stick / "damaged")
    (wheel,) = (bad / "wheels").glob("blinklog-*.whl")
    wheel.write_bytes(wheel.read_bytes()[:-1] + b"?")
    refused = device.run("/run/share/damaged/install.sh", check=False)
    assert refused.returncode != 0
    assert f"{wheel.name}: FAILED" in refused.stdout
    assert device.run("ls -A /opt/blinklog", check=False).stdout.count("\n") <= 1
    shutil.rmtree(bad)


def test_a_fresh_device_needs_no_internet_and_measures_when_it_is_done(device: Machine) -> None:
    done = device.run(INSTALL, **QUICK)
    assert "face_trunk: an inference took" in done.stdout
    assert device.run(BOTH).stdout.split() == ["active", "active"]
    device.run("blink-agent start && sleep 1.5 && blink-agent stop")
    (session,) = json.loads(device.run("blink-agent sessions --json").stdout)
    assert session["camera"]["source"] == "replay"


def test_models_are_fetched_without_a_pip_of_the_system(device: Machine) -> None:
    """There is no network: how far pip gets is enough."""
    models, debian = "/opt/blinklog/models", "/usr/lib/python3/dist-packages"
    device.run(f"cp -a {models} /opt/kept; truncate -s -1 {models}/face_trunk-*.tflite")
    device.run(f"rm -rf {debian}/pip {debian}/pip-*")
    fetch = "PIP_NO_INDEX=1 PIP_CONFIG_FILE=/dev/null blink-agent models fetch"
    said = device.run(fetch, check=False).stdout
    device.run(f"rm -rf {models}; mv /opt/kept {models}")
    assert "No matching distribution found for mediapipe==" in said


def test_the_services_belong_to_a_user_in_the_groups_that_there_are(device: Machine) -> None:
    groups = device.run("id -Gn blinklog").stdout.split()
    wanted = {"blinklog", "video", "gpio", "input"}
    there = {line.split(":")[0] for line in device.run("getent group").stdout.splitlines()}
    assert set(groups) == wanted & there
    who = device.run("ps -o user= -C blink-agent").stdout.split()
    assert who == ["blinklog", "blinklog"]


def test_nobody_else_reads_the_sessions_and_the_configuration_that_was_there_stays(
    device: Machine,
) -> None:
    assert device.run("stat -c %a /var/lib/blinklog").stdout.strip() == "700"
    assert device.run("cat /etc/blinklog/agent.toml").stdout == CONFIG


def test_the_token_reaches_the_service_and_nobody_else(device: Machine) -> None:
    device.run("umask 077; printf bld_secret > /etc/blinklog/api-token")
    device.run("systemctl restart blinklog-sync")
    folder = "/run/credentials/blinklog-sync.service"
    assert device.run(f"cat {folder}/api-token").stdout == "bld_secret"
    assert device.run(f"cat {folder}/mqtt-password").stdout.strip() == ""  # there is none yet
    other = device.run(f"setpriv --reuid nobody cat {folder}/api-token", check=False)
    assert "Permission denied" in other.stdout


def test_root_enrols_it_and_looks_at_it_and_is_not_in_the_services_way(
    device: Machine, stick: Path
) -> None:
    (stick / "server.py").write_text(SERVER)
    device.begin(f"PYTHONPATH={ROOT} {sys.executable} /run/share/server.py")
    device.run("timeout 20 sh -c 'until [ -s /run/share/url ]; do sleep 0.1; done'")
    service = "systemctl show -p InvocationID blinklog-sync"
    before = device.run(service).stdout
    said = device.run("blink-agent enrol $(cat /run/share/url) ABCD2345").stdout
    assert "accepts this device's token" in said
    assert "blinklog-sync.service restarted" in said
    assert device.run(service).stdout != before
    device.run("blink-agent sync --once")
    report = json.loads(device.run("blink-agent status --json").stdout)
    assert report["doing"]["state"] == "ready"
    assert report["last_contact"] is not None
    found = json.loads(device.run("blink-agent doctor --json", check=False).stdout)["checks"]
    states = {each["check"]: each["state"] for each in found}
    for name in ("camera", "store", "credentials", "server", "services"):
        assert states[name] == "ok", found
    owners = device.run("stat -c %U /var/lib/blinklog/*").stdout.split()
    assert set(owners) == {"blinklog"}


def test_a_second_run_changes_nothing_and_restarts_nothing(device: Machine) -> None:
    state = "systemctl show -p InvocationID blinklog-watch blinklog-sync; ls -l /opt/blinklog"
    before = device.run(state).stdout
    assert "nothing to do" in device.run(INSTALL, **QUICK).stdout
    assert device.run(state).stdout == before


def test_an_upgrade_waits_for_the_session_that_is_being_measured(
    device: Machine, stick: Path
) -> None:
    later = another(stick / "first", stick / "second", "0.2.0", {})
    device.run("blink-agent start && sleep 1.5")
    refused = device.run(f"/run/share/{later.name}/install.sh", check=False)
    assert refused.returncode != 0
    assert "a session is being measured" in refused.stdout
    device.run("blink-agent stop && sleep 1.5")


def test_an_upgrade_waits_however_long_the_report_of_the_device_is(
    device: Machine, stick: Path
) -> None:
    """What reads the report must not stop at the first line that tells."""
    (stick / "park.py").write_text(PARKS)
    (stick / "final.json").write_text(json.dumps(golden("final")))
    as_blinklog = "setpriv --reuid blinklog --regid blinklog --init-groups"
    park = '/opt/blinklog/current/bin/python -c "$(cat /run/share/park.py)"'
    device.run("systemctl stop blinklog-sync")  # it would deliver them first
    device.run(f"cd / && {as_blinklog} {park} < /run/share/final.json")
    device.run("systemctl start blinklog-sync")
    assert len(device.run("blink-agent status --json").stdout) > 200_000
    device.run("blink-agent start && sleep 1.5")
    refused = device.run("/run/share/second/install.sh", check=False)
    assert refused.returncode != 0
    assert "a session is being measured" in refused.stdout
    device.run("blink-agent stop && sleep 1.5")


@pytest.mark.parametrize(
    "broken", ["exit 1", "echo {}", "kill -9 $$"], ids=["fails", "says nothing", "dies"]
)
def test_an_upgrade_waits_where_the_device_can_t_be_asked(device: Machine, broken: str) -> None:
    program, kept = "/opt/blinklog/current/bin/blink-agent", "/opt/kept"
    device.run(
        f"mv {program} {kept}; printf '#!/bin/sh\\n{broken}\\n' > {program}; chmod +x {program}"
    )
    refused = device.run("/run/share/second/install.sh", check=False)
    device.run(f"mv {kept} {program}")
    assert refused.returncode != 0
    assert "a session may be being measured; --now" in refused.stdout


@pytest.mark.slow
def test_a_session_that_begins_while_an_upgrade_is_made_is_waited_for_too(
    device: Machine, stick: Path
) -> None:
    changes = {"agent/cli/self_test.py": SELF_TEST_TAKES_ITS_TIME}
    another(stick / "first", stick / "slow", "0.1.9", changes)
    device.begin("/run/share/slow/install.sh > /run/slow.log 2>&1; touch /run/slow.ended", **QUICK)
    device.run("timeout 100 bash -c 'until pgrep -f bin/blink-agent.self-test; do sleep 0.1; done'")
    device.run("blink-agent start")
    device.run("timeout 60 bash -c 'until [ -e /run/slow.ended ]; do sleep 0.1; done'")
    assert "a session is being measured" in device.run("cat /run/slow.log").stdout
    assert '"state": "measuring"' in device.run("blink-agent status --json").stdout
    device.run("blink-agent stop && sleep 1.5")


@pytest.mark.slow
def test_a_store_that_cannot_be_kept_for_going_back_ends_the_upgrade_and_not_the_services(
    device: Machine,
) -> None:
    before, in_the_way = release(device), "/var/lib/blinklog/agent.sqlite3.before/something"
    device.run(f"mkdir -p {in_the_way}")
    refused = device.run("/run/share/second/install.sh", check=False, **QUICK)
    assert refused.returncode != 0
    device.run(f"timeout 60 bash -c 'until {BOTH} >/dev/null; do sleep 0.1; done'")
    assert release(device) == before
    device.run(f"rmdir -p {in_the_way} 2>/dev/null; test ! -e {in_the_way}")


def test_an_upgrade_takes_over_and_the_release_before_stays_to_go_back_to(device: Machine) -> None:
    half = "/opt/blinklog/releases/0.2.0/bin"  # what another power cut left
    device.run(f"mkdir -p {half} && touch {half}/python")
    before = release(device)
    device.run("/run/share/second/install.sh --no-camera-packages", **QUICK)
    assert release(device) == "0.2.0"
    assert device.run(BOTH).stdout.split() == ["active", "active"]
    device.run("/opt/blinklog/current/deploy/install.sh --go-back", **QUICK)
    assert release(device) == before
    device.run("/opt/blinklog/current/deploy/install.sh --go-back", **QUICK)
    assert release(device) == "0.2.0"


@pytest.mark.slow
def test_a_release_that_cannot_infer_never_takes_over(device: Machine, stick: Path) -> None:
    another(stick / "first", stick / "third", "0.3.0", {"agent/face/models.py": BREAKS_INFERENCE})
    watching = "systemctl show -p InvocationID blinklog-watch"
    before = device.run(watching).stdout
    refused = device.run("/run/share/third/install.sh", check=False, **QUICK)
    assert refused.returncode != 0
    assert "this runtime can't run on this machine" in refused.stdout
    assert "the self-test of 0.3.0 failed: 0.2.0 goes on as it was" in refused.stdout
    assert release(device) == "0.2.0"
    assert device.run(watching).stdout == before
    assert "0.3.0" not in device.run("ls /opt/blinklog/releases").stdout


@pytest.mark.slow
def test_a_release_whose_services_do_not_stand_is_taken_back_and_the_store_with_it(
    device: Machine, stick: Path
) -> None:
    sessions = device.run("blink-agent sessions --json").stdout
    links = device.run(LINKS).stdout
    changes = {"agent/watch/loop.py": BREAKS_WATCH, "agent/store/schema.py": NEWER_SCHEMA}
    house = another(stick / "first", stick / "fourth", "0.4.0", changes)
    (house / "systemd" / "blinklog-later.service").write_text(LATER_UNIT)
    script = (house / "install.sh").read_text()
    (house / "install.sh").write_text(
        script.replace("enabled=(", "enabled=(blinklog-later.service ")
    )
    seal(house)
    refused = device.run("/run/share/fourth/install.sh", check=False, **QUICK)
    assert refused.returncode != 0
    assert "this release can't watch" in refused.stdout
    assert "0.4.0 failed, and was taken back: 0.2.0 runs again" in refused.stdout
    assert release(device) == "0.2.0"
    assert device.run(BOTH).stdout.split() == ["active", "active"]
    assert device.run("blink-agent sessions --json").stdout == sessions
    assert device.run(LINKS).stdout == links
    assert "0.4.0" not in device.run("ls /opt/blinklog/releases").stdout
    assert "later" not in device.run("ls -R /etc/systemd/system").stdout


def begun(device: Machine, script: str) -> None:
    """An upgrade that has switched, and whose services are being watched."""
    device.begin(script, BLINKLOG_SETTLE_S="60", PIP_NO_COMPILE="1")
    switched = "until [ -e /opt/blinklog/unproven ]; do sleep 0.1; done; sleep 0.5"
    device.run(f"timeout 100 bash -c '{switched}'")
    assert release(device) == "0.5.0"


@pytest.mark.slow
@pytest.mark.parametrize("broken_off", ["stopped", "line gone"])
def test_an_upgrade_that_is_broken_off_goes_back_at_once(
    device: Machine, stick: Path, broken_off: str
) -> None:
    """Also by an ssh that ends: then nobody listens to what is said, either."""
    if not (stick / "fifth").exists():
        another(stick / "first", stick / "fifth", "0.5.0", {})
        (stick / "terminal.py").write_text(TERMINAL)
    begun(device, "python3 /run/share/terminal.py /run/share/fifth/install.sh")
    end = "-TERM -f bash./run/share/fifth" if broken_off == "stopped" else "-KILL -f terminal.py"
    device.run(f"pkill {end}")
    device.run("timeout 60 bash -c 'while [ -e /opt/blinklog/unproven ]; do sleep 0.1; done'")
    assert release(device) == "0.2.0"
    device.run(f"timeout 60 bash -c 'until {BOTH} >/dev/null; do sleep 0.1; done'")
    device.run("flock --timeout 60 /run/blinklog-install/lock true")


@pytest.mark.slow
def test_power_cut_in_an_upgrade_leaves_the_old_release_running_and_another_run_mends(
    device: Machine,
) -> None:
    links = device.run(LINKS).stdout
    begun(device, "/run/share/fifth/install.sh")
    device.cut_power()
    device.boot()
    assert release(device) == "0.2.0"
    assert device.run(LINKS).stdout == links
    assert device.run(BOTH).stdout.split() == ["active", "active"]
    device.run("/run/share/fifth/install.sh", **QUICK)
    assert release(device) == "0.5.0"
    device.run("test ! -e /opt/blinklog/unproven")


@pytest.mark.slow
def test_a_device_that_cannot_measure_for_long_is_restarted_once_and_then_once_a_day(
    device: Machine,
) -> None:
    device.run("systemctl start blinklog-last-resort")  # under its own sandbox: all is well
    look = "STATE_DIRECTORY=/opt BLINKLOG_PATIENCE_S=0 BLINKLOG_REBOOT=false"
    look += " /opt/blinklog/current/deploy/last-resort"
    device.run(look)
    device.run("mv /opt/face.avi /opt/gone.avi; systemctl restart blinklog-watch", check=False)
    first = device.run(look, check=False)
    assert (first.returncode, "restarting the device" in first.stdout) == (1, True)
    device.run(look)
    device.run("systemctl stop blinklog-watch; rm /opt/restarted")  # what a person did is meant
    device.run(look)
    device.run("mv /opt/gone.avi /opt/face.avi; systemctl start blinklog-watch")
    device.run(f"{look} && test ! -e /opt/restarted")


def test_uninstalling_asks_about_the_data_and_keeps_it_when_told_to(device: Machine) -> None:
    uninstall = "/opt/blinklog/current/deploy/install.sh --uninstall"
    asked = device.run(uninstall, check=False)
    assert asked.returncode != 0
    assert "expected --keep-data or --delete-data" in asked.stdout
    assert device.run(BOTH).stdout.split() == ["active", "active"]
    device.run(f"{uninstall} --keep-data")
    left = "ls -d /opt/blinklog /usr/local/bin/blink-agent /etc/systemd/system/*blinklog*"
    assert "/etc" not in device.run(f"{left} 2>/dev/null", check=False).stdout
    device.run("test -s /var/lib/blinklog/agent.sqlite3 && test -s /etc/blinklog/api-token")


def test_deleting_leaves_nothing(device: Machine) -> None:
    device.run("/run/share/first/install.sh --uninstall --delete-data")
    names = r"\( -name '*blinklog*' -o -name 'blink-*' \)"
    names += " -newer /etc/blinklog-test"  # written as the machine began
    assert device.run(f"find /etc /opt /usr/local/bin /var/lib /var/cache {names}").stdout == ""
    assert device.run("getent passwd blinklog", check=False).stdout == ""
