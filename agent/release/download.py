"""Download an archive in parts: it goes on where it was broken off, also by a power cut."""

import contextlib
import os
from collections.abc import Callable
from hashlib import file_digest
from pathlib import Path

from agent.files import sync_path
from agent.release.manifest import Manifest, ReleaseError

Part = Callable[[str, int, int], bytes]
"""Returns a part of the archive with this hash, from this byte on, of this size in all."""


class Download:
    """The archive of a release in `folder`, which is sync's own.

    It is not larger than the signed manifest says. A whole one is checked before it gets its name.
    """

    def __init__(self, manifest: Manifest, folder: Path, part: Part) -> None:
        self._manifest = manifest
        self._part = part
        self._new = folder / f"{manifest.sha256}.part"
        self.archive = folder / f"{manifest.sha256}.tar"

    @property
    def done(self) -> int:
        """Bytes that are there."""
        if self.archive.exists():
            return self._manifest.size
        with contextlib.suppress(OSError):
            return self._new.stat().st_size
        return 0

    @property
    def percent(self) -> int:
        """The same in percent."""
        return 100 * self.done // self._manifest.size

    def step(self) -> bool:
        """Fetch the next part. Return True once the whole archive is there, and as it was signed.

        Raises DeliveryError if there is no part now, and ReleaseError if the archive is not as it
        was signed: what is there is deleted then.
        """
        if self.archive.exists():
            return True
        done = self.done
        if done < self._manifest.size:
            self._append(done)
            return False
        self._finish()
        return True

    def _append(self, done: int) -> None:
        part = self._part(self._manifest.sha256, done, self._manifest.size)
        with self._new.open("ab") as file:
            file.write(part[: self._manifest.size - done])
            file.flush()
            os.fsync(file.fileno())

    def _finish(self) -> None:
        with self._new.open("rb") as file:
            found = file_digest(file, "sha256").hexdigest()
            size = file.tell()
        if (found, size) != (self._manifest.sha256, self._manifest.size):
            self._new.unlink()
            raise ReleaseError("archive", "the archive is not the one that was signed")
        self._new.replace(self.archive)
        sync_path(self.archive.parent)
