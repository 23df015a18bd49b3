"""The backup file: a zip of `manifest.json` and a copy of the database.

The manifest names the database engine, the applied migrations and the copy's hash. A backup is
complete or absent: it is written to a temporary name, synced to disk, and renamed.
"""

import hashlib
import json
import os
import shutil
import tempfile
import time
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from server.common.disk import sync_folder

FORMAT = 1
MANIFEST, DATABASE = "manifest.json", "database"
LONGEST_MANIFEST = 1024 * 1024
BLOCK = 1024 * 1024
# In seconds. No backup takes this long: older temporary files were left by a killed process.
LEFT_BEHIND_S = 12 * 3600


class BackupError(Exception):
    """A failed backup or restore, with nothing changed. Says what was expected and found."""


@dataclass(frozen=True)
class Manifest:
    """A backup's description. `migrations` are `app.name`; `made_at` is when the copy began."""

    made_at: str
    version: str
    engine: str
    migrations: list[str]
    counts: dict[str, int]
    bytes: int
    sha256: str
    format: int = FORMAT


def write(manifest: Manifest, copy: Path, file: Path) -> None:
    """Write the backup `file`, readable by its owner only."""
    handle, name = tempfile.mkstemp(
        dir=file.parent, prefix=f".{file.name}-"
    )  # created with mode 0600
    try:
        with os.fdopen(handle, "wb") as raw:
            with zipfile.ZipFile(raw, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
                archive.writestr(MANIFEST, json.dumps(asdict(manifest), indent=1))
                archive.write(copy, DATABASE)
            raw.flush()
            os.fsync(raw.fileno())
        Path(name).replace(file)
        sync_folder(file.parent)
    except BaseException:
        with suppress(FileNotFoundError):
            Path(name).unlink()
        raise


def sweep(folder: Path) -> None:
    """Remove temporary files that interrupted backups left in a folder."""
    for old in (*folder.glob(".blinklog-*"), *folder.glob(".*.zip-*")):
        with suppress(FileNotFoundError):  # its process has just finished with it
            if time.time() - old.stat().st_mtime < LEFT_BEHIND_S:
                continue
            if old.is_dir():
                shutil.rmtree(old, ignore_errors=True)
            else:
                old.unlink()


@contextmanager
def opened(file: Path) -> Iterator[tuple[Manifest, zipfile.ZipFile]]:
    """Open a backup; yield its checked manifest and the archive. Raises `BackupError`."""
    try:
        with zipfile.ZipFile(file) as archive:
            yield _manifest(file, archive), archive
    except FileNotFoundError:
        raise BackupError(f"expected a backup, found no file {file}") from None
    except zipfile.BadZipFile as error:
        raise BackupError(f"expected a backup, found a damaged file: {error}") from None


def _manifest(file: Path, archive: zipfile.ZipFile) -> Manifest:
    try:
        info = archive.getinfo(MANIFEST)
        if info.file_size > LONGEST_MANIFEST:
            raise BackupError(f"{file}: expected a short manifest, found {info.file_size} bytes")
        told = json.loads(archive.read(info))
        archive.getinfo(DATABASE)
    except (KeyError, ValueError):
        raise BackupError(f"expected a backup of Blinklog, found another file: {file}") from None
    if not isinstance(told, dict) or told.get("format") != FORMAT:
        found = told.get("format") if isinstance(told, dict) else None
        raise BackupError(f"{file}: expected a backup of format {FORMAT}, found {found!r}")
    try:
        return Manifest(**told)
    except TypeError:
        raise BackupError(
            f"{file}: expected a complete manifest, found an incomplete one"
        ) from None


def extract(archive: zipfile.ZipFile, manifest: Manifest, to: Path) -> None:
    """Extract the database and check it against the manifest. Raises `BackupError`."""
    found = hashlib.sha256()
    size = 0
    try:
        with archive.open(DATABASE) as source, to.open("wb") as target:
            while block := source.read(BLOCK):
                size += len(block)
                if size > manifest.bytes:
                    break
                found.update(block)
                target.write(block)
    except (zipfile.BadZipFile, zlib.error, EOFError) as error:
        raise BackupError(f"expected a complete backup, found a damaged one: {error}") from None
    if size != manifest.bytes or found.hexdigest() != manifest.sha256:
        raise BackupError(
            "expected a complete backup, found a database that does not match its hash"
        )


def digest(file: Path) -> str:
    """Return the SHA-256 of a file, in hex."""
    with file.open("rb") as source:
        return hashlib.file_digest(source, "sha256").hexdigest()


@contextmanager
def scratch(near: Path) -> Iterator[Path]:
    """Provide a private temporary folder, on the disk of `near`."""
    folder = Path(tempfile.mkdtemp(dir=near, prefix=".blinklog-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
