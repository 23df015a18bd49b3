"""A restore brings back what was there, and not what people have taken back since."""

import psycopg
import pytest
from django.db import connection

from tests.postgres import needs_postgres
from tests.server.backup.places import Place, on_postgres

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
    """Take migrations back, which a restore of its backup has to apply again."""
    place.python("-m", "django", "migrate", "home_assistant", "zero")
    place.python("-m", "django", "migrate", "alerts", "zero")


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


# One in eight ALTER TABLE of the migrations then takes longer than a second, the first among them.
SLOW_TO_ALTER = """
CREATE SCHEMA slow;
CREATE SEQUENCE slow.altered;
CREATE FUNCTION slow.wait() RETURNS event_trigger LANGUAGE plpgsql
AS $$ BEGIN
  IF current_setting('application_name') <> 'psql' AND nextval('slow.altered') % 8 = 1
  THEN PERFORM pg_sleep(1.2); END IF;
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
