"""What root does in folders that a service's user can write, with links and other names planted.

The installers' own functions run as root in a temporary folder. `daemon` stands for the service's
user, `nobody` for any other.
"""

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.deploy.folders import USER, Folders, version_of

pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="root's work needs root"),
    pytest.mark.timeout(60),
]


@pytest.fixture
def folders() -> Iterator[Folders]:
    os.umask(0o022)
    top = Path(tempfile.mkdtemp(prefix="blinklog-folders-"))
    yield Folders(top)
    shutil.rmtree(top)


# The lock


def test_nobody_but_root_can_hold_the_lock_of_an_installation(folders: Folders) -> None:
    name = f"blinklog-test-{os.getpid()}"
    taken = folders.run("install.sh", f"take_lock {name}; readlink /proc/$$/fd/9")
    assert taken.returncode == 0, taken.stdout
    lock = Path(taken.stdout.strip())
    as_nobody = ["setpriv", "--reuid", "nobody", "--clear-groups"]
    hold = [*as_nobody, "flock", "--nonblock", str(lock), "true"]
    try:
        assert subprocess.run(hold, check=False, capture_output=True).returncode != 0
    finally:
        lock.unlink()
        if lock.parent.name == name:
            lock.parent.rmdir()


@pytest.mark.parametrize("script", ["install.sh", "install-server.sh"])
def test_what_runs_as_the_services_user_does_not_inherit_the_lock(
    folders: Folders, script: str
) -> None:
    shown = folders.run(script, 'exec 9> "$TOP/lock"; as_user ls -l /proc/self/fd')
    assert shown.returncode == 0, shown.stdout
    assert "/proc/" in shown.stdout
    assert f"{folders.top}/lock" not in shown.stdout


# The device's store


def test_a_state_folder_that_is_a_link_is_refused(folders: Folders) -> None:
    folders.state.rmdir()
    folders.state.symlink_to(folders.treasure)
    refused = folders.run("install.sh", "install_config")
    assert refused.returncode != 0
    assert f"expected no link at {folders.state}" in refused.stdout
    assert folders.treasure_is_untouched()


def test_going_back_moves_no_file_into_the_folder_that_the_store_links_to(
    folders: Folders,
) -> None:
    folders.plant(folders.store, folders.treasure)
    folders.database(folders.state / "agent.sqlite3.back", 1)
    done = folders.run("install.sh", "restore_store")
    assert folders.treasure_is_untouched()
    assert done.returncode == 0, done.stdout
    assert not folders.store.is_symlink()
    assert version_of(folders.store) == 1


def test_going_back_moves_no_file_into_the_folder_that_its_copy_links_to(folders: Folders) -> None:
    folders.database(folders.store, 2)
    folders.database(folders.state / "agent.sqlite3.before", 1)
    folders.plant(folders.state / "agent.sqlite3.back", folders.treasure)
    done = folders.run("install.sh", "restore_store")
    assert folders.treasure_is_untouched()
    assert done.returncode == 0, done.stdout
    assert version_of(folders.store) == 1


def test_a_link_in_place_of_the_kept_store_does_not_become_the_store(folders: Folders) -> None:
    folders.database(folders.store, 2)
    secret = folders.top / "secret"
    folders.database(secret, 1)
    folders.plant(folders.state / "agent.sqlite3.before", secret)
    done = folders.run("install.sh", "restore_store")
    assert done.returncode == 0, done.stdout
    assert not folders.store.is_symlink()
    assert version_of(folders.store) == 2


@pytest.mark.parametrize("late", ["agent.sqlite3", "agent.sqlite3.back"])
def test_a_link_that_is_put_there_after_the_check_leads_root_nowhere(
    folders: Folders, late: str
) -> None:
    """At the last moment: the schemas have been read, and sync is what comes next."""
    folders.database(folders.store, 2)
    folders.database(folders.state / "agent.sqlite3.before", 1)
    swap = f'rm -f "$state/{late}"; ln -s "$TREASURE" "$state/{late}"'
    race = f'schema_of() {{ {swap}; [ "$1" = "$store" ] && echo 2 || echo 1; }}'
    done = folders.run("install.sh", f"{race}; restore_store")
    assert folders.treasure_is_untouched()
    assert done.returncode == 0, done.stdout
    assert version_of(folders.store) == 1, "the link was replaced, not entered"


def test_a_store_that_is_a_link_is_refused_before_anything_is_changed(folders: Folders) -> None:
    elsewhere = folders.top / "elsewhere"
    folders.database(elsewhere, 1)
    folders.plant(folders.store, elsewhere)
    refused = folders.run("install.sh", "keep_store")
    assert refused.returncode != 0
    assert f"expected no link at {folders.store}" in refused.stdout


def test_a_folder_where_the_kept_store_would_be_does_not_block_an_upgrade(
    folders: Folders,
) -> None:
    folders.database(folders.store, 1)
    in_the_way = folders.state / "agent.sqlite3.before"
    (in_the_way / "something").mkdir(parents=True)
    for each in (in_the_way, in_the_way / "something"):
        os.chown(each, USER.pw_uid, USER.pw_gid)
    kept = folders.run("install.sh", "keep_store")
    assert kept.returncode == 0, kept.stdout
    assert version_of(in_the_way) == 1


def test_the_device_is_asked_as_its_services_user(folders: Folders) -> None:
    program = folders.top / "opt" / "current" / "bin" / "blink-agent"
    program.parent.mkdir(parents=True)
    program.write_text('#!/bin/sh\nprintf \'{"doing": {"state": "%s"}}\' "$(id -un)"\n')
    program.chmod(0o755)
    said = folders.run("install.sh", "watch_runs() { true; }; check_idle")
    assert "blink-agent status calls the device 'daemon'" in said.stdout


# Configuration that comes from another machine, where its owner had another number


@pytest.mark.parametrize("script", ["install.sh", "install-server.sh"])
def test_the_folder_of_the_configuration_is_roots(folders: Folders, script: str) -> None:
    etc, secret = folders.top / "etc", folders.top / "secret"
    secret.touch()
    os.chown(etc, USER.pw_uid, USER.pw_gid)
    for name in ("environment", "agent.toml"):
        folders.plant(etc / name, secret)
    done = folders.run(script, "install_config")
    assert done.returncode == 0, done.stdout
    assert etc.stat().st_uid == 0
    assert (secret.stat().st_uid, secret.stat().st_gid) == (0, 0)


# Python's modules


def test_root_takes_no_python_module_from_the_folder_it_is_in(folders: Folders) -> None:
    folders.owned_file(folders.state / "json.py", f"open('{folders.treasure}/json', 'w')")
    folders.owned_file(folders.state / "urllib.py", f"open('{folders.treasure}/urllib', 'w')")
    program = folders.top / "opt" / "current" / "bin" / "blink-agent"
    program.parent.mkdir(parents=True)
    program.write_text('#!/bin/sh\necho \'{"doing": {"state": "ready"}}\'\n')
    program.chmod(0o755)
    folders.run("install.sh", "doing", cwd=folders.state)
    folders.run("install-server.sh", "ready_s=0; ready_at 1", cwd=folders.state)
    assert folders.treasure_is_untouched()


@pytest.mark.parametrize("script", ["install.sh", "install-server.sh"])
def test_an_installer_works_in_no_folder_of_others(folders: Folders, script: str) -> None:
    said = folders.run(
        script, "take_lock() { true; }; undo() { pwd; }; main --undo", cwd=folders.state
    )
    assert said.stdout == "/\n"


# The server's backups


def test_a_link_in_place_of_the_backups_is_refused(folders: Folders) -> None:
    folders.plant(folders.state / "backups", folders.treasure)
    refused = folders.run("install-server.sh", "install_config")
    assert refused.returncode != 0
    assert f"expected no link at {folders.state}/backups" in refused.stdout
    assert folders.treasure_is_untouched()


def test_a_link_that_takes_the_backups_place_after_the_check_gives_nothing_away(
    folders: Folders,
) -> None:
    folders.plant(folders.state / "backups", folders.treasure)
    refused = folders.run("install-server.sh", "refuse_link() { true; }; install_config")
    assert refused.returncode != 0
    assert folders.treasure_is_untouched()


def test_the_backups_are_the_services_users_alone(folders: Folders) -> None:
    (folders.top / "etc" / "environment").touch()
    done = folders.run("install-server.sh", "install_config")
    assert done.returncode == 0, done.stdout
    made = (folders.state / "backups").stat()
    assert (made.st_uid, made.st_gid, made.st_mode & 0o777) == (USER.pw_uid, USER.pw_gid, 0o700)


def test_the_name_of_a_backup_is_no_second_name(folders: Folders) -> None:
    backups = folders.state / "backups"
    backups.mkdir()
    os.chown(backups, USER.pw_uid, USER.pw_gid)
    mine = folders.top / "opt" / "mine.zip"
    mine.touch()
    for number in range(1, 6):
        made = folders.owned_file(backups / f"before-{number}.zip")
        os.utime(made, (number, number))
    planted = folders.owned_file(backups / "before-x\n0 mine.zip")
    os.utime(planted, (0, 0))
    (folders.top / "opt" / "unproven").write_text(f"{backups}/before-1.zip\n")
    done = folders.run("install-server.sh", "prune_backups", cwd=mine.parent)
    assert done.returncode == 0, done.stdout
    assert mine.exists()
    left = sorted(each.name for each in backups.iterdir())
    assert left == ["before-1.zip", "before-3.zip", "before-4.zip", "before-5.zip"]


def test_a_fifo_in_place_of_a_backup_keeps_nobody_waiting(folders: Folders) -> None:
    fifo = folders.state / "backup.zip"
    os.mkfifo(fifo)
    os.chown(fifo, USER.pw_uid, USER.pw_gid)
    python = folders.top / "python"
    python.write_text('#!/bin/sh\nexec timeout 10 /usr/bin/python3 "$@"\n')
    python.chmod(0o755)
    said = folders.run("install-server.sh", f"system_python={python}; is_whole {fifo}")
    assert "expected a zip file that can be read, found: no file" in said.stdout


def test_root_removes_no_folder_that_the_services_user_names(folders: Folders) -> None:
    """The path of the self-test's folder is what a process of that user said."""
    tools = folders.top / "tools"
    tools.mkdir()
    (tools / "mktemp").write_text(f"#!/bin/sh\necho {folders.treasure}\n")
    (tools / "mktemp").chmod(0o755)
    folders.run("install-server.sh", f'PATH={tools}:$PATH; self_test "$TOP/opt/none"')
    assert folders.treasure_is_untouched()


# Files that come from another machine


@pytest.fixture
def brought(folders: Folders) -> dict[str, Path]:
    """The files, each of which is a link to one of somebody with another number."""
    (folders.top / "mosquitto").mkdir()
    links = {
        name: folders.top / place / name
        for place, names in {
            "etc": ("environment", "mqtt-password", "mqtt-admin-password"),
            "mosquitto": ("broker.conf", "server.key", "ca.key"),
        }.items()
        for name in names
    }
    for name, link in links.items():
        target = folders.top / f"{name} of somebody"
        target.touch()
        os.chown(target, 12345, 12345)
        link.symlink_to(target)
    return links


def is_still_somebodys(link: Path) -> bool:
    found = link.stat()
    return (found.st_uid, found.st_gid) == (12345, 12345)


def test_the_settings_are_the_servers_and_not_what_they_link_to(
    folders: Folders, brought: dict[str, Path]
) -> None:
    done = folders.run("install-server.sh", "install_config")
    assert done.returncode == 0, done.stdout
    assert brought["environment"].lstat().st_gid == USER.pw_gid
    assert is_still_somebodys(brought["environment"])


@pytest.mark.skipif("mosquitto" not in {each.pw_name for each in pwd.getpwall()}, reason="no user")
def test_the_brokers_files_are_theirs_and_not_what_they_link_to(
    folders: Folders, brought: dict[str, Path]
) -> None:
    no_work = 'put() { touch "$2"; }; certify_broker() { :; }; set_once() { :; }; openssl() { :; }'
    set_up = "broker=$TOP/mosquitto with_broker=yes; set_up_broker"
    done = folders.run("install-server.sh", f"{no_work}; {set_up}")
    assert done.returncode == 0, done.stdout
    del brought["environment"]
    assert {name for name, link in brought.items() if link.lstat().st_uid == 12345} == set()
    assert {name for name, link in brought.items() if not is_still_somebodys(link)} == set()


# The broker's identities


def test_root_hands_the_broker_no_file_that_the_servers_user_links_to(folders: Folders) -> None:
    secret = folders.top / "secret"
    secret.write_text('{"secret": 1}')
    secret.chmod(0o600)
    plant = f'server() {{ ln -s {secret} "$state/dynamic-security.json"; }}'
    folders.run("install-server.sh", f'{plant}; with_broker=yes dropin="$TOP/d"; start_broker')
    assert not (folders.broker / "identities").exists()


def test_the_identities_are_a_json_object_of_the_brokers_user(folders: Folders) -> None:
    write = "server() { as_user sh -c \"echo '$CONTENT' > $state/dynamic-security.json\"; }"
    start = f'{write}; with_broker=yes dropin="$TOP/d"; start_broker'
    assert folders.run("install-server.sh", f"CONTENT=[]; {start}").returncode != 0
    assert list(folders.broker.iterdir()) == []
    folders.plant(folders.broker / "identities", folders.treasure / "nothing")
    done = folders.run("install-server.sh", f"CONTENT={{}}; {start}")
    assert done.returncode == 0, done.stdout
    made = (folders.broker / "identities").lstat()
    assert (made.st_uid, made.st_mode & 0o777) == (USER.pw_uid, 0o600)
    assert list(folders.state.iterdir()) == []
    assert folders.treasure_is_untouched()


@pytest.mark.parametrize("kind", ["link", "hard link"])
def test_a_link_in_place_of_the_identities_gives_no_file_away(folders: Folders, kind: str) -> None:
    secret, identities = folders.top / "secret", folders.broker / "identities"
    secret.touch()
    if kind == "link":
        folders.plant(identities, secret)
    else:
        os.link(secret, identities)
    start = 'with_broker=yes dropin="$TOP/d"; start_broker'
    refused = folders.run("install-server.sh", start)
    assert secret.stat().st_uid == 0
    assert refused.returncode != 0
    assert f"{identities} could not be given to daemon" in refused.stdout


def test_identities_from_another_machine_become_the_brokers(folders: Folders) -> None:
    identities = folders.broker / "identities"
    identities.write_text("{}")
    os.chown(identities, 12345, 12345)
    start = 'with_broker=yes dropin="$TOP/d"; start_broker'
    done = folders.run("install-server.sh", start)
    assert done.returncode == 0, done.stdout
    assert identities.stat().st_uid == USER.pw_uid
