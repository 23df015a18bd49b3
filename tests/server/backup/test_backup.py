"""A backup that is made while documents pour in holds all that was acknowledged before it began,
and can be put back."""

import json
import os
import shutil
import sqlite3
import stat
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace

import psycopg
import pytest
from django.db import connection

from server.backup import backup
from server.backup.archive import BackupError
from tests.postgres import Postgres, needs_postgres

ROOT = Path(__file__).resolve().parents[3]
SHOW = """
import django; django.setup()
from server.session_data.models import SessionData
print("\\n".join(str(pk) for pk in SessionData.objects.values_list("pk", flat=True)))
"""


DELETE = """
import django, sys; django.setup()
from server.care.models import Person
from server.retention.deletion import Scope, delete_sessions
delete_sessions(Person.objects.get(), Scope(session_id=sys.argv[1]), by=None)
"""


# People who share, and what of that they take back.
SHARING = """
import django; django.setup()
from server.care import sharing
from server.care.models import CareLink, Person
from tests.server.conftest import make_world
world = make_world()
dora = Person.objects.create_user("dora", timezone="UTC")
CareLink.objects.create(caregiver=dora, person=world.anna)
for person in (world.anna, world.otto):
    sharing.invite(person, ["live"])
"""
TAKING_BACK = """
import django; django.setup()
from server.care import sharing
from server.care.models import CareLink, Invitation, Person, PersonToken
from server.devices import manage
from server.devices.models import Device
from server.retention.deletion import delete_account
anna, otto = (Person.objects.get(username=name) for name in ("anna", "otto"))
sharing.end(CareLink.objects.get(caregiver__username="carl"), anna)
sharing.change(CareLink.objects.get(caregiver__username="dora"), {"live"}, anna)
sharing.withdraw(Invitation.objects.get(person=anna))
manage.revoke(anna, Device.objects.get(person=anna))
PersonToken.objects.get(person__username="carl").revoke()
Person.objects.filter(username="ella").update(is_active=False)
delete_account(otto, by=otto)
"""
OPEN_DOORS = """
import django; django.setup()
from server.care.models import CareLink, Invitation, Person, PersonToken
from server.devices.models import Device
for link in CareLink.objects.filter(ended_at=None):
    print(link.caregiver.username, *sorted(link.permissions), sep="-")
print(*(f"invited-by-{each.person}" for each in Invitation.live()), sep="\\n")
print(*(f"device-{each}" for each in Device.objects.filter(revoked_at=None)), sep="\\n")
for token in PersonToken.objects.filter(revoked_at=None):
    print(f"app-of-{token.person}")
print(*Person.objects.filter(is_active=True), sep="\\n")
"""


@dataclass
class Place:
    """An installation of its own: a data folder and a database."""

    folder: Path
    url: str = ""
    settings: dict[str, str] = field(default_factory=dict)

    def run(self, *arguments: str, good: bool = True) -> str:
        """`blink-server` with these; what it said."""
        return self.python("-m", "server.operations.cli", *arguments, good=good)

    def python(self, *arguments: str, good: bool = True) -> str:
        done = subprocess.run(
            [sys.executable, *arguments],
            cwd=ROOT,
            env=self.environment(),
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )
        assert (done.returncode == 0) == good, done.stderr
        return done.stdout if good else done.stderr

    def environment(self) -> dict[str, str]:
        own = ("DATABASE_URL", "BLINKLOG_", "STATE_DIRECTORY")
        kept = {name: value for name, value in os.environ.items() if not name.startswith(own)}
        more = {"DATABASE_URL": self.url} if self.url else {}
        return (
            kept
            | more
            | {
                "BLINKLOG_DATA_DIR": str(self.folder),
                "BLINKLOG_SECRET_KEY": "for the length of a test",
                "DJANGO_SETTINGS_MODULE": "server.config.settings",
            }
            | self.settings
        )

    def sessions(self) -> set[str]:
        return set(self.python("-c", SHOW).split())


@contextmanager
def pouring(place: Place) -> Iterator[list[str]]:
    """Documents come in; those acknowledged so far."""
    acknowledged: list[str] = []
    with subprocess.Popen(
        [sys.executable, "-m", "tests.server.pourer"],
        cwd=ROOT,
        env=place.environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as pourer:
        assert pourer.stdout is not None
        acknowledged += [pourer.stdout.readline().strip() for _ in range(50)]
        assert all(acknowledged)
        yield acknowledged
        pourer.communicate("", timeout=30)
        assert pourer.returncode == 0


on_sqlite = pytest.mark.skipif(connection.vendor != "sqlite", reason="runs with SQLite's turn")
on_postgres = pytest.mark.skipif(
    connection.vendor == "sqlite", reason="runs with PostgreSQL's turn"
)


@pytest.fixture(
    params=[
        pytest.param("sqlite", marks=on_sqlite),
        pytest.param("postgres", marks=[needs_postgres, pytest.mark.needs_postgres, on_postgres]),
    ]
)
def places(request, tmp_path) -> Iterator[tuple[Place, Place]]:
    """One to back up and one to restore to."""
    folders = [tmp_path / name for name in ("one", "two")]
    for folder in folders:
        folder.mkdir()
    if request.param == "sqlite":
        yield tuple(Place(folder) for folder in folders)
        return
    postgres = Postgres()
    try:
        postgres.start()
        with psycopg.connect(postgres.url, autocommit=True) as line:
            line.execute("CREATE DATABASE two")
        urls = (postgres.url, postgres.url.removesuffix("postgres") + "two")
        yield tuple(Place(folder, url) for folder, url in zip(folders, urls, strict=True))
    finally:
        postgres.remove()


@pytest.mark.slow
def test_what_was_acknowledged_before_a_backup_began_is_in_it_and_comes_back(places, tmp_path):
    one, two = places
    one.run("migrate", "--quiet")
    file = tmp_path / "a.zip"
    with pouring(one) as acknowledged:
        one.run("backup", str(file))
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert two.run("restore", str(file)).startswith("restored the backup of")
    restored = two.sessions()
    assert set(acknowledged) <= restored < one.sessions()
    # Over something that is there: only when asked; what was deleted there since stays deleted.
    two.python("-c", DELETE, acknowledged[0])
    refusal = two.run("restore", str(file), good=False)
    assert "expected an empty database" in refusal
    assert "--replace" in refusal
    later = tmp_path / "b.zip"
    one.run("backup", str(later))
    two.run("restore", "--replace", str(later))
    assert two.sessions() == one.sessions() - {acknowledged[0]}
    told = json.loads(two.run("people", "--json"))
    assert told["user"] == "anna"


def test_what_people_took_back_since_a_backup_does_not_come_back_with_it(places, tmp_path):
    one, two = places
    file = tmp_path / "a.zip"
    for place in (one, two):
        place.run("migrate", "--quiet")
        place.python("-c", SHARING)
    all_open = set(one.python("-c", OPEN_DOORS).split())
    one.run("backup", str(file))
    for place in (one, two):
        place.python("-c", TAKING_BACK)
        place.run("restore", "--replace", str(file))
    assert all_open - set(one.python("-c", OPEN_DOORS).split()) == {
        "carl-control-history-live", "dora-history-live", "invited-by-anna", "invited-by-otto",
        "device-Kitchen", "device-Otto's", "app-of-carl", "app-of-otto", "otto", "ella",
    }  # fmt: skip
    assert "dora-live" in one.python("-c", OPEN_DOORS).split()
    # They have the same names at the other place, and are others there.
    assert set(two.python("-c", OPEN_DOORS).split()) == all_open


# A kill between replacing the database and what follows.
DIE = """
import django, os, sys; django.setup()
from pathlib import Path
from server.backup import backup
backup.migrate = lambda: os._exit(9)
backup.restore(Path(sys.argv[1]), replace=True)
"""


def of_an_older_version(place: Place) -> None:
    """Take the last migrations back, which a restore of its backup has to apply again."""
    place.python("-m", "django", "migrate", "alerts", "0001")


@pytest.mark.parametrize("again", [("migrate", "--quiet"), ("restore", "--replace")])
def test_what_people_took_back_stays_so_after_a_kill_during_the_restore(places, tmp_path, again):
    place, _ = places
    file = tmp_path / "a.zip"
    place.run("migrate", "--quiet")
    place.python("-c", SHARING)
    before = set(place.python("-c", OPEN_DOORS).split())
    place.run("backup", str(file))
    place.python("-c", TAKING_BACK)
    after = set(place.python("-c", OPEN_DOORS).split())
    place.python("-c", DIE, str(file), good=False)
    assert set(place.python("-c", OPEN_DOORS).split()) == before  # it was killed in between
    place.run(*again, *([str(file)] if again[0] == "restore" else []))
    assert set(place.python("-c", OPEN_DOORS).split()) == after
    place.run("migrate", "--quiet")  # nothing waits any more


@needs_postgres
@pytest.mark.needs_postgres
@on_postgres
@pytest.mark.parametrize("places", ["postgres"], indirect=True)
def test_a_restore_and_a_migration_may_take_longer_than_a_statement(places, tmp_path):
    place, _ = places
    file = tmp_path / "a.zip"
    place.run("migrate", "--quiet")
    place.python("-c", SHARING)
    of_an_older_version(place)
    place.run("backup", str(file))
    place.run("migrate", "--quiet")
    place.python("-c", TAKING_BACK)
    after = set(place.python("-c", OPEN_DOORS).split())
    with psycopg.connect(place.url, autocommit=True) as line:
        line.execute(SLOW_TO_ALTER)
    place.settings["BLINKLOG_STATEMENT_TIMEOUT_S"] = "1"
    place.run("restore", "--replace", str(file))
    assert set(place.python("-c", OPEN_DOORS).split()) == after
    place.settings.clear()
    of_an_older_version(place)
    place.settings["BLINKLOG_STATEMENT_TIMEOUT_S"] = "1"
    place.run("migrate", "--quiet")


# Each of the migrations' ALTER TABLE then takes longer than a second.
SLOW_TO_ALTER = """
CREATE SCHEMA slow;
CREATE FUNCTION slow.wait() RETURNS event_trigger LANGUAGE plpgsql
AS $$ BEGIN
  IF current_setting('application_name') <> 'psql' THEN PERFORM pg_sleep(1.2); END IF;
END $$;
CREATE EVENT TRIGGER slow ON ddl_command_start WHEN TAG IN ('ALTER TABLE')
EXECUTE FUNCTION slow.wait();
"""


ANOTHER_PROGRAM = """
import django, sys; django.setup()
from django.db import connection
with connection.cursor() as cursor:
    cursor.execute("CREATE TABLE somebodys (what varchar(9) PRIMARY KEY)")
    cursor.execute("INSERT INTO somebodys VALUES (%s)", sys.argv[1:])
"""
LOOK_AT_IT = """
import django; django.setup()
from django.db import connection
with connection.cursor() as cursor:
    cursor.execute("SELECT what FROM somebodys")
    print(*cursor.fetchone())
"""


def test_a_restore_deletes_nothing_of_another_program_in_the_database(places, tmp_path):
    one, two = places
    file = tmp_path / "a.zip"
    for place in (one, two):
        place.run("migrate", "--quiet")
        place.python("-c", ANOTHER_PROGRAM, place.folder.name)
    one.run("create-person", "anna")
    one.run("backup", str(file))
    on_sqlite = connection.vendor == "sqlite"  # which is replaced as a whole, or not at all
    told = two.run("restore", "--replace", str(file), good=not on_sqlite)
    assert ("found somebodys: restoring replaces the whole file" in told) == on_sqlite
    assert ("anna" in two.run("people")) != on_sqlite
    assert two.python("-c", LOOK_AT_IT).strip() == "two"


A_NEWER_VERSION = """
import django; django.setup()
from django.db import connection
from server.backup import migrating

def migrate(*_, **__):
    with connection.cursor() as cursor:
        cursor.execute("CREATE TABLE later (number integer)")

migrating.call_command = migrate
migrating.migrate()
"""
ITS_TABLE = """
import django; django.setup()
from django.db import connection
print("later" in connection.introspection.table_names())
"""


def test_a_restore_takes_back_the_tables_of_a_newer_version(places, tmp_path):
    _, place = places
    file = tmp_path / "before.zip"
    place.run("migrate", "--quiet")
    place.run("create-person", "anna")
    place.run("backup", str(file))
    place.python("-c", A_NEWER_VERSION)
    assert place.python("-c", ITS_TABLE).strip() == "True"
    place.run("restore", "--replace", str(file))
    assert place.python("-c", ITS_TABLE).strip() == "False"
    assert "anna" in place.run("people")


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> tuple[Place, Path]:
    """An installation with somebody in it, and its backup."""
    folder = tmp_path_factory.mktemp("made")
    place = Place(folder)
    place.run("migrate", "--quiet")
    place.run("create-person", "anna")
    place.run("backup", str(folder / "good.zip"))
    return place, folder / "good.zip"


def changed(good: Path, bad: Path, **manifest: object) -> Path:
    """The same backup with another manifest."""
    with zipfile.ZipFile(good) as source, zipfile.ZipFile(bad, "w") as target:
        told = json.loads(source.read("manifest.json"))
        target.writestr("manifest.json", json.dumps(told | manifest))
        target.writestr("database", source.read("database"))
    return bad


def damaged(good: Path, bad: Path) -> Path:
    """A few bytes in its middle are others."""
    whole = bytearray(good.read_bytes())
    middle = len(whole) // 2
    whole[middle : middle + 16] = bytes(each ^ 0xFF for each in whole[middle : middle + 16])
    bad.write_bytes(whole)
    return bad


@on_sqlite
@pytest.mark.parametrize(
    ("broken", "says"),
    [
        (lambda good, bad: bad, "found no file"),
        (lambda good, bad: changed(good, bad, sha256="0" * 64), "does not match its hash"),
        (lambda good, bad: changed(good, bad, bytes=10), "does not match its hash"),
        (lambda good, bad: changed(good, bad, engine="postgresql"), "found one of postgresql"),
        (lambda good, bad: changed(good, bad, format=2), "found 2"),
        (lambda good, bad: changed(good, bad, migrations=["care.9999_later"]), "is newer"),
        (damaged, "damaged"),
        (lambda good, bad: bad.write_text("hello") and bad, "damaged"),
    ],
    ids=["missing", "hash", "size", "engine", "format", "newer", "damaged", "something else"],
)
def test_a_backup_that_cant_be_trusted_is_refused_and_changes_nothing(
    db, made, tmp_path, broken, says
):
    _, good = made
    with pytest.raises(BackupError, match=says):
        backup.restore(broken(good, tmp_path / "bad.zip"), replace=True)


@on_sqlite
def test_in_a_folder_the_newest_few_are_kept(made, tmp_path):
    place, _ = made
    for name in ("blinklog-20250101T000000Z.zip", "blinklog-20250102T000000Z.zip", "mine.zip"):
        (tmp_path / name).touch()
    told = json.loads(place.run("backup", str(tmp_path), "--keep", "2", "--json"))
    names = sorted(each.name for each in tmp_path.iterdir())
    assert names == ["blinklog-20250102T000000Z.zip", Path(told["file"]).name, "mine.zip"]


@on_sqlite
def test_where_room_runs_out_the_oldest_backups_go_early_but_two_stay(db, tmp_path, monkeypatch):
    old = [tmp_path / f"blinklog-2025010{day}T000000Z.zip" for day in range(1, 6)]
    for file in old:
        file.touch()

    needed = 2 * backup.engine().size() + backup.MARGIN

    def disk(folder: Path) -> SimpleNamespace:
        """It has room for another one beside four, each of which takes 100 MB."""
        return SimpleNamespace(free=needed + 10**8 * (4 - len(list(folder.glob("*.zip")))))

    monkeypatch.setattr(shutil, "disk_usage", disk)
    made = backup.make(tmp_path, keep=14)
    assert sorted(tmp_path.iterdir()) == [*old[1:], made]
    made.unlink()
    full = SimpleNamespace(free=needed - 10**7)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: full)
    with pytest.raises(BackupError, match=rf"free in .+, found {full.free / 1e6:.0f} MB"):
        backup.make(tmp_path, keep=14)
    assert sorted(tmp_path.iterdir()) == old[3:]
    by_hand = backup.make(tmp_path)  # asks for no more than it takes
    assert sorted(tmp_path.iterdir()) == [*old[3:], by_hand]


@on_sqlite
def test_what_a_killed_backup_left_is_removed_by_a_later_one(db, tmp_path):
    folder, half = tmp_path / ".blinklog-killed", tmp_path / ".blinklog-20250101T000000Z.zip-x"
    under_way, mine = tmp_path / ".blinklog-new", tmp_path / ".mine"
    folder.mkdir()
    under_way.mkdir()
    for file in (folder / "database", half, mine):
        file.touch()
    long_ago = time.time() - 13 * 3600
    for each in (folder, half, mine):
        os.utime(each, (long_ago, long_ago))
    made = backup.make(tmp_path)
    assert set(tmp_path.iterdir()) == {under_way, mine, made}


@pytest.mark.slow
@on_sqlite
def test_a_backup_writes_over_nothing_and_leaves_nothing_half_made(
    made, tmp_path, tmp_path_factory
):
    place, good = made
    assert "expected a new file" in place.run("backup", str(good), good=False)
    assert "expected a folder" in place.run("backup", str(tmp_path / "no" / "a"), good=False)
    broken = Place(tmp_path_factory.mktemp("broken"))
    database = Path(shutil.copy(place.folder / "blinklog.sqlite3", broken.folder))
    with closing(sqlite3.connect(database)) as line:
        find = "SELECT rootpage FROM sqlite_master WHERE name = 'deliveries_to_do'"
        ((page,),) = line.execute(find).fetchall()
    with database.open("r+b") as file:
        file.seek((page - 1) * 4096)
        file.write(os.urandom(4096))
    assert "sound database" in broken.run("backup", str(tmp_path / "x.zip"), good=False)
    assert list(tmp_path.iterdir()) == []


@on_sqlite
def test_the_timers_commands_say_what_they_did_and_leave_a_sign(made):
    place, _ = made
    told = json.loads(place.run("tidy", "--json"))
    assert (told["sessions"], told["more"]) == (0, False)
    assert place.run("tidy", "--quiet") == ""
    told = place.run("judge")
    assert "0 rules: 0 alerts opened, 0 resolved; 0 notifications sent, 0 failed" in told
    signs = "from server.monitoring.models import Sign; print(*Sign.objects.values_list('name'))"
    said = place.python("-c", f"import django; django.setup(); {signs}")
    assert all(name in said for name in ("backup", "tidy", "judge"))
