"""The root service of updates: it trusts nothing but a signature of the pinned key.

    take the request -> verify -> copy and hash -> unpack -> wait until idle -> install -> outcome

`began.json` is on the disk before anything else is made, and goes last: a run that was killed, or
cut off by a loss of power, is found by it, and brought to an end by the next one. The installer
itself goes back by what it noted (deploy/install.sh).
"""

import contextlib
import json
import logging
import os
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from agent.errors import AgentError
from agent.files import FileTransaction, atomic_file, sync_path
from agent.release import handover, upgrade
from agent.release.handover import Progress, Request
from agent.release.manifest import Machine, Manifest, ReleaseError
from agent.release.room import check_room
from agent.release.signature import pinned_key, verified
from agent.release.unpack import unpack
from agent.release.upgrade import Upgrade

log = logging.getLogger(__name__)

IDLE_S = 6 * 3600.0  # how long to wait for a moment in which nobody is measured
LOOK_S = 5.0
MOST_TRIES = 3  # of one archive: a release that fails is not tried over and over
MOST_KNOWN = 32  # archives that were tried, the newest
PIECE = 1 << 20

WORK, BEGAN, TRIED = "work", "began.json", "tried.json"


@dataclass(frozen=True, slots=True)
class Installing:
    """The service's surroundings. `office` is root's folder, `key` the pinned key.

    `is_idle` returns whether nobody is measured.
    """

    here: Machine
    key: Path
    inbox: Path
    office: Path
    is_idle: Callable[[], bool]
    upgrade: Upgrade
    idle_s: float = IDLE_S
    sleep: Callable[[float], None] = time.sleep

    def run(self) -> None:
        """Bring to an end what was cut off, and take the request if there is one."""
        self._recover()
        request = handover.take(self.inbox)
        if request is None:
            return
        known = handover.read_outcome(self.office)
        if known is not None and known.request == request.id and known.is_over:
            return  # the same request again
        self._answer(request.id, "installing")
        try:
            self._take(request)
        except ReleaseError as error:
            self._answer(request.id, "failed", error.code, str(error))
        except (AgentError, OSError) as error:
            self._answer(request.id, "failed", "installer", str(error))
        finally:
            self._clean_up()

    # Verify

    def _take(self, request: Request) -> None:
        pinned = pinned_key(self.key)
        if pinned is None:
            raise ReleaseError("no_key", f"there is no key in {self.key}")
        manifest, key = verified(request.release, request.rotations, pinned)
        if key != pinned:
            self._pin(key)
        manifest.check(self.here)
        self._check_tries(manifest)
        self._begin(request, manifest)
        self._unpack(manifest)
        self._install(request, manifest)

    def _pin(self, key: str) -> None:
        with FileTransaction({self.key: 0o644}) as files:
            files.write(self.key, key.encode())
        log.info("the key of releases was replaced by the one that it has signed")

    def _begin(self, request: Request, manifest: Manifest) -> None:
        (self.office / WORK).mkdir(mode=0o700, parents=True, exist_ok=True)
        self._write_began(request, manifest, upgrading=False)

    def _unpack(self, manifest: Manifest) -> None:
        """Copy, compare and unpack the archive: sync's own could change at any moment."""
        work = self.office / WORK
        check_room(work, 2 * manifest.size)
        archive = work / "archive.tar"
        with handover.open_archive(self.inbox, manifest.sha256) as file, archive.open("wb") as out:
            digest, left = sha256(), manifest.size + 1
            while left and (piece := file.read(min(PIECE, left))):
                digest.update(piece)
                out.write(piece)
                left -= len(piece)
        if left != 1 or digest.hexdigest() != manifest.sha256:
            raise ReleaseError("archive", "the archive is not the one that was signed")
        handover.discard(self.inbox)
        house = unpack(archive, work / "house", 2 * manifest.size)
        archive.unlink()
        if not (house / "install.sh").is_file():
            raise ReleaseError("archive", "there is no install.sh in it")
        os.sync()  # before the installer begins

    # Install

    def _install(self, request: Request, manifest: Manifest) -> None:
        """Run the installer once nobody is measured. Raises ReleaseError if it does not succeed."""
        until_s = time.monotonic() + self.idle_s
        while True:
            self._await_idle(request, until_s)
            self._answer(request.id, "installing")
            self._note_try(manifest, self._tries(manifest) + 1)
            self._write_began(request, manifest, upgrading=True)
            status = self.upgrade.run()
            if status != upgrade.TRY_LATER:
                break
            self._note_try(manifest, self._tries(manifest) - 1)  # a session had begun meanwhile
        self._conclude(request.id, manifest.version, manifest.sha256, status)

    def _await_idle(self, request: Request, until_s: float) -> None:
        while not (self.is_idle() and self.upgrade.nobody_installs()):
            if time.monotonic() >= until_s:
                raise ReleaseError("busy", "somebody was always measured")
            if handover.is_withdrawn(self.inbox):
                raise ReleaseError("withdrawn", "it was withdrawn while a session was running")
            known = handover.read_outcome(self.office)
            if known is None or known.state != "waiting":
                self._answer(request.id, "waiting")
            self.sleep(LOOK_S)

    def _write_began(self, request: Request, manifest: Manifest, *, upgrading: bool) -> None:
        told = {"request": request.id, "version": manifest.version, "sha256": manifest.sha256}
        self._write(self.office / WORK / BEGAN, told | {"upgrading": upgrading})

    def _conclude(self, request_id: str, version: str, archive: str, status: int | None) -> None:
        """Say how the installer ended: by the release that is current, and by its exit status."""
        said = self.upgrade.last_words()
        if self.upgrade.version() == version:
            self._forget_try(archive)
            self._answer(request_id, "installed", None, said if status else None)
        elif status == upgrade.TAKEN_BACK:
            self._answer(request_id, "went_back", "installer", said)
        elif status is None:
            self._answer(request_id, "failed", "interrupted", "the device was switched off")
        else:
            self._answer(request_id, "failed", "installer", said)

    # What was cut off

    def _recover(self) -> None:
        began = self._read(self.office / WORK / BEGAN)
        if began.get("upgrading") is True:
            self.upgrade.wait()
            self.upgrade.mend()
        if isinstance(began.get("request"), str):
            self._conclude(began["request"], began["version"], began["sha256"], None)
        elif (known := handover.read_outcome(self.office)) is not None and not known.is_over:
            self._answer(known.request, "failed", "interrupted", "the device was switched off")
        self._clean_up()

    def _clean_up(self) -> None:
        """Remove what was made. The note that it was begun goes last."""
        work = self.office / WORK
        with contextlib.suppress(FileNotFoundError):
            shutil.rmtree(work / "house", ignore_errors=True)
            (work / "archive.tar").unlink(missing_ok=True)
            shutil.rmtree(work)

    # What was tried

    def _check_tries(self, manifest: Manifest) -> None:
        if self._tries(manifest) >= MOST_TRIES:
            raise ReleaseError("tried", f"it has failed here {MOST_TRIES} times")

    def _tries(self, manifest: Manifest) -> int:
        found = self._read(self.office / TRIED).get(manifest.sha256)
        return found if type(found) is int else 0

    def _note_try(self, manifest: Manifest, count: int) -> None:
        """On the disk before the installer begins: a release that hangs the device counts, too."""
        tried = self._read(self.office / TRIED)
        tried.pop(manifest.sha256, None)
        newest = [*tried.items(), (manifest.sha256, count)][-MOST_KNOWN:]
        self._write(self.office / TRIED, dict(newest))

    def _forget_try(self, archive: str) -> None:
        tried = self._read(self.office / TRIED)
        if tried.pop(archive, None) is not None:
            self._write(self.office / TRIED, tried)

    def _answer(
        self,
        request_id: str,
        state: handover.State,
        code: str | None = None,
        problem: str | None = None,
    ) -> None:
        log.info("update: %s%s", state, f": {code}: {problem}" if code else "")
        handover.write_outcome(Progress(request_id, state, None, code, problem), self.office)

    def _write(self, path: Path, told: dict[str, Any]) -> None:
        with atomic_file(path, ".json") as new:
            new.write_text(json.dumps(told), "utf-8")

    def _read(self, path: Path) -> dict[str, Any]:
        try:
            found = json.loads(path.read_text("utf-8"))
        except (OSError, ValueError, RecursionError):
            return {}
        return found if isinstance(found, dict) else {}


def forget_tries(office: Path) -> None:
    """Let releases that have failed be tried again."""
    (office / TRIED).unlink(missing_ok=True)
    sync_path(office)
