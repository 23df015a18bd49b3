"""Archives of releases: a wheel house, as deploy/wheel-house makes it, in one tar file."""

import re
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import file_digest, sha256
from pathlib import Path
from typing import IO

MOST_FILES = 2000
MOST_SMALL = 1 << 20  # bytes of a file that is read whole
# A name in the archive: folders and files with ordinary names, and no `.` or `..`.
_NAME = re.compile(r"blinklog-device(/[A-Za-z0-9_][A-Za-z0-9._+!@-]*)*")


class PackingError(ValueError):
    """The folder or the archive is not a release for devices."""


@dataclass(frozen=True, slots=True)
class House:
    """What the archive says of itself, and its size and SHA-256."""

    version: str
    machine: str
    pythons: tuple[str, ...]
    size: int
    sha256: str


def pack(folder: Path, archive: Path) -> None:
    """Write a wheel house into a new archive. Raises PackingError or OSError."""
    if not (folder / "SHA256SUMS").is_file():
        raise PackingError(f"{folder}: expected a wheel house, found no SHA256SUMS in it")
    with archive.open("xb") as file, tarfile.open(fileobj=file, mode="w") as tar:
        tar.add(folder, "blinklog-device", filter=_ownerless)


def _ownerless(member: tarfile.TarInfo) -> tarfile.TarInfo:
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    return member


def examine(archive: Path) -> House:
    """Check an archive as a device does, with the sums of its files. Raises PackingError."""
    try:
        with archive.open("rb") as file:
            digest = file_digest(file, "sha256").hexdigest()
            size = file.tell()
            file.seek(0)
            release, sums, found = _read(file)
    except tarfile.TarError as error:
        raise PackingError(f"{archive}: expected a tar file: {error}") from None
    except OSError as error:
        raise PackingError(f"{archive}: {error.strerror}") from None
    _compare(sums, found)
    told = dict(line.split("=", 1) for line in release.splitlines() if "=" in line)
    if told.get("role") != "device":
        raise PackingError(f"{archive}: expected a release for devices")
    pythons = tuple(told.get("pythons", "").split())
    return House(told.get("version", ""), told.get("machine", ""), pythons, size, digest)


def _read(file: IO[bytes]) -> tuple[str, str, dict[str, str]]:
    """Return the texts of `release` and `SHA256SUMS`, and the hash of each file by its name."""
    texts: dict[str, str] = {}
    found: dict[str, str] = {}
    with tarfile.open(fileobj=file, mode="r:") as tar:
        for name, content in _files(tar):
            if name in ("release", "SHA256SUMS"):
                whole = content.read(MOST_SMALL)
                texts[name] = whole.decode("utf-8", "replace")
                found[name] = sha256(whole).hexdigest()
            else:
                found[name] = file_digest(content, "sha256").hexdigest()  # type: ignore[arg-type]
    return texts.get("release", ""), texts.get("SHA256SUMS", ""), found


def _files(tar: tarfile.TarFile) -> Iterator[tuple[str, IO[bytes]]]:
    for count, member in enumerate(tar):
        if count >= MOST_FILES:
            raise PackingError(f"expected at most {MOST_FILES} files")
        if not _NAME.fullmatch(member.name) or not (member.isreg() or member.isdir()):
            raise PackingError(f"expected files and folders alone, found {member.name[:100]!r}")
        content = tar.extractfile(member) if member.isreg() else None
        if content is not None:
            yield member.name.partition("/")[2], content


def _compare(sums: str, found: dict[str, str]) -> None:
    """Raise PackingError unless the files are exactly those of SHA256SUMS."""
    parts = (line.partition("  ") for line in sums.splitlines())
    wanted = {name: digest for digest, _, name in parts if name}
    files = {name: digest for name, digest in found.items() if name != "SHA256SUMS"}
    if not wanted or wanted != files:
        names = wanted.keys() ^ files.keys() or {
            name for name in wanted if wanted[name] != files[name]
        }
        raise PackingError(f"expected the files of SHA256SUMS: {', '.join(sorted(names)[:3])}")
