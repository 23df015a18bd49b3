"""`blink-server backup` and `restore`: a copy of the database, made while the server runs.

A backup has everything that was acknowledged before it began. It does not have the secret key
(without it, people only have to log in again) and the broker's own file of users.
"""

import logging
import shutil
from datetime import UTC, datetime
from pathlib import Path

from django.db import connection
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
from server.backup.carried import Carried, waiting
from server.backup.engines import engine
from server.backup.migrating import applied, migrate, refuse_unfinished, unknown_migrations
from server.care.audit import note
from server.care.models import AuditEvent, Person
from server.common.version import our_version
from server.devices.models import Device
from server.monitoring.models import Sign
from server.session_data.models import SessionData

log = logging.getLogger(__name__)

NAME = "blinklog-%Y%m%dT%H%M%SZ.zip"
PATTERN = "blinklog-????????T??????Z.zip"
# At least this many backups are kept, even if there is no room for another.
FEWEST = 2
# Bytes that the nightly backup leaves free, because new sessions come first.
MARGIN = 256 * 1024 * 1024


def make(where: Path, keep: int | None = None) -> Path:
    """Back up to a new file, or to a folder under a name with the time; return the path.

    In a folder, only the newest `keep` backups are kept, or fewer if there is no room. Raises
    `BackupError`; then no file was written.
    """
    now = datetime.now(UTC)
    file = where / now.strftime(NAME) if where.is_dir() else where
    if not file.parent.is_dir():
        raise BackupError(f"expected a folder to write to, found no {file.parent}")
    if file.exists():
        raise BackupError(f"expected a new file to write, found {file}")
    if keep is not None and not where.is_dir():
        raise BackupError(f"expected a folder to keep the newest {keep} in, found a file name")
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
    migrations = applied()
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
    """Check for disk space, deleting old backups if needed, so that new data always has room."""
    needed = 2 * engine().size()  # the copy and the zip, which is no larger
    if keep is not None:
        needed += MARGIN
    kept = sorted(folder.glob(PATTERN)) if keep is not None else []
    while (free := shutil.disk_usage(folder).free) < needed and len(kept) > FEWEST:
        log.warning("the disk is nearly full: deleting the oldest backup early")
        kept.pop(0).unlink()
    if free < needed:
        raise BackupError(
            f"expected {needed / 1e6:.0f} MB free in {folder}, found {free / 1e6:.0f} MB"
        )


def _forget_older(folder: Path, keep: int) -> None:
    """Delete all but the newest `keep` backups. Names sort by time."""
    for old in sorted(folder.glob(PATTERN))[:-keep]:
        old.unlink()


def restore(file: Path, *, replace: bool = False) -> Manifest:
    """Replace the database with a backup, and migrate its schema.

    Without `replace`, only an empty database is replaced. Deletions and revocations of the current
    database stay in effect (see `carried`). Raises `BackupError`; then nothing was changed, unless
    its text says so.
    """
    kind = engine()
    carried = [Carried.read().as_json(), *waiting()]
    sweep(_room(file))
    with opened(file) as (manifest, archive), scratch(_room(file)) as folder:
        _refuse_foreign(manifest, kind.name)
        if not replace and (found := _what_is_here()):
            raise BackupError(
                f"expected an empty database, found {found}: --replace deletes that permanently"
            )
        copy = folder / "database"
        extract(archive, manifest, copy)
        kind.check(copy)
        kind.replace(copy, carried)
    migrate()
    note(None, AuditEvent.BACKUP_RESTORED, None, f"of {manifest.made_at}")
    return manifest


def _room(file: Path) -> Path:
    """Return a folder with room for a database: the database's own folder for SQLite."""
    name = Path(str(connection.settings_dict["NAME"]))
    if connection.vendor == "sqlite":
        name.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        return name.parent
    return file.parent


def _refuse_foreign(manifest: Manifest, kind: str) -> None:
    if manifest.engine != kind:
        raise BackupError(f"expected a backup of {kind}, found one of {manifest.engine}")
    if unknown := unknown_migrations(manifest.migrations):
        raise BackupError(
            f"expected a backup of this version ({our_version()}) or an older one, found one of "
            f"{manifest.version}, whose schema is newer: {unknown[0]}"
        )
    refuse_unfinished(manifest.migrations)


def _counts() -> dict[str, int]:
    return {
        "people": Person.objects.count(),
        "devices": Device.objects.count(),
        "sessions": SessionData.objects.count(),
    }


def _what_is_here() -> str:
    """Describe what would be lost; empty if the database is empty."""
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
