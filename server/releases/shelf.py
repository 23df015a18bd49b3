"""The folder with the releases on offer, the public key that signs them, and its predecessors.

    RELEASES_DIR/key.pem                           the public key
    RELEASES_DIR/keys.json                         each new key, signed by the one before
    RELEASES_DIR/blinklog-device-0.2.0-aarch64.tar   an archive
    RELEASES_DIR/blinklog-device-0.2.0-aarch64.json  its manifest and signature

Files are replaced by a rename. The archive is there before its manifest, and goes after it. Several
server processes may share the folder; nothing here is secret.
"""

import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.conf import settings

from server.common.disk import MB, sync_folder
from server.devices.release_key import release_key
from server.releases.manifest import (
    Manifest,
    ManifestError,
    fits,
    number,
    read_manifest,
    read_statement,
)
from server.releases.packing import PackingError, examine
from server.releases.signing import SigningError, checked_key, fingerprint, is_signed

MOST_ROTATIONS = 8  # devices follow no longer chain
MOST_BYTES = 64 * 1024

Json = dict[str, Any]


class ShelfError(Exception):
    """The release or the key can't be added."""


@dataclass(frozen=True, slots=True)
class Release:
    """A release on offer."""

    manifest: Manifest
    signature: str

    @property
    def archive(self) -> Path:
        """Return the path of the archive."""
        return folder() / self.manifest.file_name


def folder() -> Path:
    """Return the folder of the releases. It may not exist."""
    where: Path = settings.RELEASES_DIR
    return where


def key() -> str | None:
    """Return the public key in PEM; None if there is none."""
    pem = release_key()
    try:
        return None if pem is None else checked_key(pem)
    except SigningError:
        return None


def releases() -> list[Release]:
    """Return the releases that the present key has signed, newest first."""
    pem = key()
    if pem is None:
        return []
    signed_by = fingerprint(pem)
    found = [each for each in everything() if each.manifest.key == signed_by]
    return sorted(found, key=lambda each: number(each.manifest.version) or (), reverse=True)


def everything() -> Iterator[Release]:
    """Yield all releases in the folder, also those of former keys."""
    for path in sorted(folder().glob("*.json")):
        found = None if path.name == "keys.json" else read_signed(path)
        if found is not None and found.archive.is_file():
            yield found


def read_signed(path: Path) -> Release | None:
    """Return the manifest and the signature in a file; None if it is invalid."""
    try:
        with path.open("rb") as file:
            found = json.loads(file.read(MOST_BYTES))
        return Release(read_manifest(found["manifest"]), str(found["signature"]))
    except (OSError, ValueError, KeyError, TypeError, ManifestError):
        return None


def best_for(version: str, machine: str, python: str) -> Release | None:
    """Return the newest release that a device like this would take."""
    number_of_own = number(version)
    fitting = [each for each in releases() if fits(each.manifest, version, machine, python)]
    newer = [each for each in fitting if number(each.manifest.version) > number_of_own]  # type: ignore[operator]
    return next(iter(newer or fitting), None)


def with_sha256(sha256: str) -> Release | None:
    """Return the release with this archive."""
    return next((each for each in releases() if each.manifest.sha256 == sha256), None)


def add(archive: Path, release: Release) -> None:
    """Copy an archive and its signed manifest. Raises ShelfError if they are not as signed."""
    pem = key()
    if pem is None:
        raise ShelfError("there is no public key yet: blink-server release key --trust FILE")
    if release.manifest.key != fingerprint(pem):
        raise ShelfError("it is signed by another key than that of this server")
    if not is_signed(pem, release.manifest.text, release.signature):
        raise ShelfError("the signature is not that of the manifest")
    check_archive(archive, release.manifest)
    _make_folder()
    if shutil.disk_usage(folder()).free < release.manifest.size + settings.DISK_RESERVE_MB * MB:
        raise ShelfError(f"there is too little room in {folder()}")
    remove(release.manifest.version, release.manifest.machine)
    _copy(archive, release.archive)
    told = {"manifest": release.manifest.text, "signature": release.signature}
    _write(release.archive.with_suffix(".json"), json.dumps(told, indent=1))


def check_archive(archive: Path, manifest: Manifest) -> None:
    """Raise ShelfError unless the archive is that of the manifest."""
    try:
        house = examine(archive)
    except PackingError as error:
        raise ShelfError(str(error)) from None
    for name in ("version", "machine", "pythons", "size", "sha256"):
        if getattr(house, name) != getattr(manifest, name):
            raise ShelfError(f"{archive} is not the archive that was signed: another {name}")


def remove(version: str, machine: str | None = None) -> int:
    """Withdraw releases; return how many. Devices that download one stop."""
    count = 0
    for each in list(everything()):
        if each.manifest.version == version and machine in (None, each.manifest.machine):
            each.archive.with_suffix(".json").unlink(missing_ok=True)
            each.archive.unlink(missing_ok=True)
            count += 1
    return count


def trust(pem: str) -> None:
    """Make this the first public key. Raises ShelfError if there is another one."""
    try:
        pem = checked_key(pem)
    except SigningError as error:
        raise ShelfError(str(error)) from None
    known = key()
    if known == pem:
        return
    if known is not None:
        raise ShelfError("there is a key already: sign the new one with it (--succeed)")
    _make_folder()
    _write(folder() / "key.pem", pem)


def succeed(statement: str, signature: str) -> None:
    """Replace the key by the one that it has signed. Raises ShelfError."""
    known = key()
    try:
        pem, signed_by = read_statement(statement)
        pem = checked_key(pem)
        if known is None or signed_by != fingerprint(known):
            raise ShelfError("the new key is not signed by this server's key")
        if not is_signed(known, statement, signature):
            raise ShelfError("the signature is not that of the statement")
    except (ManifestError, SigningError) as error:
        raise ShelfError(str(error)) from None
    chain = [*rotations(), {"statement": statement, "signature": signature}]
    _write(folder() / "keys.json", json.dumps(chain[-MOST_ROTATIONS:], indent=1))
    _write(folder() / "key.pem", pem)


def rotations() -> list[Json]:
    """Return each new key with the signature of the one before, oldest first."""
    try:
        with (folder() / "keys.json").open("rb") as file:
            found = json.loads(file.read(MOST_BYTES))
        return [{name: str(each[name]) for name in ("statement", "signature")} for each in found]
    except (OSError, ValueError, KeyError, TypeError):
        return []


def _make_folder() -> None:
    folder().mkdir(mode=0o755, parents=True, exist_ok=True)


def _copy(source: Path, target: Path) -> None:
    new = target.with_suffix(".part")
    shutil.copyfile(source, new)
    _publish(new, target)


def _write(target: Path, text: str) -> None:
    new = target.with_suffix(".new")
    new.write_text(text)
    _publish(new, target)


def _publish(new: Path, target: Path) -> None:
    new.chmod(0o644)
    with new.open("rb") as file:
        os.fsync(file.fileno())
    new.replace(target)
    sync_folder(target.parent)
