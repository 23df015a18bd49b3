"""Unpack a verified archive: plain files and folders with ordinary names, and nothing else.

It was signed, so this guards against a mistake of the operator's. Nothing is written outside the
folder, no link is made or followed, and no file gets more rights than it needs.
"""

import re
import shutil
import tarfile
from pathlib import Path

from agent.release.manifest import ReleaseError

MOST_FILES = 2000
_NAME = re.compile(r"blinklog-device(/[A-Za-z0-9_][A-Za-z0-9._+!@-]*)*")


def unpack(archive: Path, folder: Path, most_bytes: int) -> Path:
    """Unpack into a new folder; return the folder of the release in it.

    Raises ReleaseError if there is anything else in the archive, or more than `most_bytes`.
    """
    folder.mkdir(mode=0o700)
    left = most_bytes
    try:
        with tarfile.open(archive, "r:") as tar:
            for count, member in enumerate(tar):
                left -= member.size
                if count >= MOST_FILES or left < 0:
                    raise ReleaseError("archive", "it has too many files or bytes")
                _unpack_one(tar, member, folder)
    except tarfile.TarError as error:
        raise ReleaseError("archive", f"expected a tar file: {error}") from None
    except FileExistsError as error:
        raise ReleaseError("archive", f"twice in it: {Path(error.filename).name}") from None
    return folder / "blinklog-device"


def _unpack_one(tar: tarfile.TarFile, member: tarfile.TarInfo, folder: Path) -> None:
    if not _NAME.fullmatch(member.name) or not (member.isreg() or member.isdir()):
        raise ReleaseError("archive", f"expected plain files in it, found {member.name[:100]!r}")
    target = folder / member.name
    if member.isdir():
        target.mkdir(mode=0o755, exist_ok=True)
        return
    target.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    content = tar.extractfile(member)
    assert content is not None  # it is a plain file
    with content, target.open("xb") as out:
        shutil.copyfileobj(content, out, 1 << 20)
    target.chmod(0o755 if member.mode & 0o100 else 0o644)
