"""A backup that is made while documents pour in holds all that was acknowledged before it began,
and can be put back."""

import json
import os
import shutil
import sqlite3
import stat
import time
import zipfile
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace

import pytest

from server.backup import backup
from server.backup.archive import BackupError
from tests.server.backup.places import Place, on_sqlite, pouring

DELETE = """
import django, sys; django.setup()
from server.care.models import Person
from server.retention.deletion import Scope, delete_sessions
delete_sessions(Person.objects.get(), Scope(session_id=sys.argv[1]), by=None)
"""


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
