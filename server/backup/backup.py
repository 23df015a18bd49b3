"""`blink-server backup` and `restore`: a copy of all that is stored, made while the server runs.

Whatever was acknowledged before a backup began is in it. Not in it: the secret key (without it
people log in again and nothing is lost), and the broker's own file of identities.
"""

import logging
import shutil
from datetime import UTC, datetime
from pathlib import Path

from django.core.management import call_command
from django.db import connection
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder
from django.utils import timezone

from server.backup.archive import (
    BackupError,
    Manifest,
    digest,
    extract,
    opened,
    scratch,
    sweep,
    write,
)
from server.backup.carried import Carried
from server.backup.engines import engine
from server.care.audit import note
from server.care.models import AuditEvent, Person
from server.common.version import our_version
from server.devices.models import Device
from server.monitoring.models import Sign
from server.session_data.models import SessionData

log = logging.getLogger(__name__)

NAME = "blinklog-%Y%m%dT%H%M%SZ.zip"
PATTERN = "blinklog-????????T??????Z.zip"
# So many stay even where there is no room for another.
FEWEST = 2
# Bytes that the nightly backup leaves free: the sessions of the day come first.
MARGIN = 256 * 1024 * 1024


def make(where: Path, keep: int | None = None) -> Path:
    """Back up into the file, or under its moment's name into the folder, and say where.

    In a folder, of the backups there, the newest `keep` stay; fewer, where there is no room for
    more. Raises `BackupError`: then no file was written.
    """
    now = datetime.now(UTC)
    file = where / now.strftime(NAME) if where.is_dir() else where
    if not file.parent.is_dir():
        raise BackupError(f"expected a folder to write to, found no {file.parent}")
    if file.exists():
        raise BackupError(f"expected a new file to write, found {file}")
    if keep is not None and not where.is_dir():
        raise BackupError(f"expected a folder to keep the newest {keep} in, found a file's name")
    sweep(file.parent)
    _make_room(file.parent, keep)
    try:
        _write(file, now)
    except OSError as error:
        raise BackupError(f"the backup could not be written: {error}") from error
    Sign.objects.update_or_create(name="backup", defaults={"at": timezone.now()})
    if keep is not None:
        _forget_older(where, keep)
    return file


def _write(file: Path, now: datetime) -> None:
    kind = engine()
    counts = _counts()
    migrations = _applied()
    with scratch(file.parent) as folder:
        copy = folder / "database"
        kind.copy(copy)
        manifest = Manifest(
            made_at=now.isoformat(timespec="seconds"),
            version=our_version(),
            engine=kind.name,
            migrations=migrations,
            counts=counts,
            bytes=copy.stat().st_size,
            sha256=digest(copy),
        )
        write(manifest, copy, file)


def _make_room(folder: Path, keep: int | None) -> None:
    """A backup must not take the room that what comes in will need, nor do so in vain."""
    needed = 2 * engine().size()  # the copy, and beside it the zip, which is no larger
    if keep is not None:
        needed += MARGIN
    kept = sorted(folder.glob(PATTERN)) if keep is not None else []
    while (free := shutil.disk_usage(folder).free) < needed and len(kept) > FEWEST:
        log.warning("the disk is nearly full: the oldest backup goes early")
        kept.pop(0).unlink()
    if free < needed:
        raise BackupError(
            f"expected {needed / 1e6:.0f} MB free in {folder}, found {free / 1e6:.0f} MB"
        )


def _forget_older(folder: Path, keep: int) -> None:
    """The name begins with the moment, so the newest are the last."""
    for old in sorted(folder.glob(PATTERN))[:-keep]:
        old.unlink()


def restore(file: Path, *, replace: bool = False) -> Manifest:
    """Put a backup in the place of the database, and bring its schema up to date.

    Only an empty database is replaced without `replace`; what was deleted or ended in it stays so
    (see `carried`). Raises `BackupError`: then nothing was changed, unless its text says so.
    """
    kind = engine()
    carried = Carried.read()
    sweep(_room(file))
    with opened(file) as (manifest, archive), scratch(_room(file)) as folder:
        _refuse_foreign(manifest, kind.name)
        if not replace and (found := _what_is_here()):
            raise BackupError(
                f"expected an empty database, found {found}: --replace deletes that for good"
            )
        copy = folder / "database"
        extract(archive, manifest, copy)
        kind.check(copy)
        kind.replace(copy)
    call_command("migrate", interactive=False, verbosity=0)
    carried.apply()
    note(None, AuditEvent.BACKUP_RESTORED, None, f"of {manifest.made_at}")
    return manifest


def _room(file: Path) -> Path:
    """A folder that can hold a database: the database's own, where that is a file."""
    name = Path(str(connection.settings_dict["NAME"]))
    if connection.vendor == "sqlite":
        name.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        return name.parent
    return file.parent


def _refuse_foreign(manifest: Manifest, kind: str) -> None:
    if manifest.engine != kind:
        raise BackupError(f"expected a backup of {kind}, found one of {manifest.engine}")
    known = {f"{app}.{name}" for app, name in MigrationLoader(None).disk_migrations}
    if unknown := sorted(set(manifest.migrations) - known):
        raise BackupError(
            f"expected a backup of this version ({our_version()}) or an older one, found one of "
            f"{manifest.version}, whose schema is newer: {unknown[0]}"
        )


def _applied() -> list[str]:
    found = MigrationRecorder(connection).applied_migrations()
    return sorted(f"{app}.{name}" for app, name in found)


def _counts() -> dict[str, int]:
    return {
        "people": Person.objects.count(),
        "devices": Device.objects.count(),
        "sessions": SessionData.objects.count(),
    }


def _what_is_here() -> str:
    """What would be lost, in words; empty where there is nothing."""
    tables = set(connection.introspection.table_names())
    found = {
        "people": Person,
        "sessions": SessionData,
    }
    counts = {
        name: model.objects.count()  # type: ignore[attr-defined]
        for name, model in found.items()
        if model._meta.db_table in tables
    }
    return ", ".join(f"{n} {name}" for name, n in counts.items() if n)
