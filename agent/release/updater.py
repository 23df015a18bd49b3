"""sync's side of updates: report, ask, download, and hand over to the root service.

It runs in a thread of its own: a download takes minutes, and sessions are delivered meanwhile. It
downloads and hands over only while nobody is measured.
"""

import logging
import random
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

from agent.errors import AgentError, DeliveryError
from agent.release import handover
from agent.release.download import Download
from agent.release.handover import Progress, Request
from agent.release.manifest import Machine, Manifest, ReleaseError
from agent.release.room import check_room
from agent.release.signature import fingerprint, pinned_key, verified

log = logging.getLogger(__name__)

ASK_S = 600.0  # between two reports while nothing is under way
BUSY_S = 10.0  # the same while something is
SOON_S = 0.1  # what the server has to know before the next step
RETRY_S = 60.0  # after the server did not answer
RETRY_CAP_S = 3600.0
TAKEN_S = 180.0  # the root service takes a request within seconds; a slow card needs longer
MOST_DAMAGED = 2  # complete archives that are not as signed, until it is given up


class Client(Protocol):
    """The server: `agent.transport.releases.ReleaseClient`."""

    def report(self, told: dict[str, Any]) -> dict[str, Any] | None:
        """Report, and return what the server wants installed."""

    def part(self, sha256: str, first: int, size: int) -> bytes:
        """Return a part of an archive."""


@dataclass(frozen=True, slots=True)
class Places:
    """The pinned key, and the folders that sync and root exchange files by."""

    key: Path
    inbox: Path = handover.INBOX
    office: Path = handover.OFFICE


@dataclass(slots=True)
class _Job:
    """The request that is worked on."""

    request: Request
    manifest: Manifest
    download: Download
    damaged: int = 0
    is_complete: bool = False  # the whole archive is there
    handed_s: float | None = None


class Updater:
    """Takes updates for the device `here`. `is_idle` returns whether nobody is measured."""

    def __init__(
        self,
        client: Client,
        here: Machine,
        places: Places,
        is_idle: Callable[[], bool],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._client = client
        self._here = here
        self._places = places
        self._is_idle = is_idle
        self._clock = clock
        self._job: _Job | None = None
        self._progress: Progress | None = None
        self._problem = ""

    def run(self, stop: threading.Event) -> None:
        """Take updates until `stop` is set. Nothing that goes wrong here ends the delivery."""
        wait_s = random.uniform(0, BUSY_S)
        while not stop.wait(wait_s):
            try:
                wait_s = self.step(stop)
            except DeliveryError as error:
                self._log(f"the server can't be asked for updates: {error}")
                wait_s = min(max(RETRY_S, error.retry_after_s or 0), RETRY_CAP_S)
            except AgentError as error:
                self._log(str(error))
                wait_s = RETRY_S
            except Exception:
                log.exception("this is an error in Blinklog: no updates for now")
                wait_s = RETRY_CAP_S

    def step(self, stop: threading.Event | None = None) -> float:
        """Report and go on with what is wanted. Return the seconds until the next step."""
        wanted = self._client.report(self._report())
        self._problem = ""
        request = _request_of(wanted)
        if request is None:
            self._drop()
            return ASK_S * random.uniform(0.9, 1.1)
        if self._is_over(request.id):
            return BUSY_S
        try:
            self._go_on(request, stop or threading.Event())
        except ReleaseError as error:
            log.warning("update: %s: %s", error.code, error)
            self._progress = Progress(request.id, "failed", None, error.code, str(error))
            self._job = None
        return SOON_S if self._is_over(request.id) or self._has_just_come() else BUSY_S

    def _report(self) -> dict[str, Any]:
        progress = self._told_by_root() or self._progress
        key = pinned_key(self._places.key)
        return {
            **asdict(self._here),
            "key": key and fingerprint(key),
            "update": progress and asdict(progress),
        }

    def _told_by_root(self) -> Progress | None:
        """Return root's outcome, if it is about the request that is worked on or the last one."""
        outcome = handover.read_outcome(self._places.office)
        if outcome is None or self._progress is None or outcome.request == self._progress.request:
            return outcome
        return None

    def _is_over(self, request_id: str) -> bool:
        known = self._told_by_root() or self._progress
        return known is not None and known.request == request_id and known.is_over

    def _has_just_come(self) -> bool:
        job = self._job
        return job is not None and job.is_complete and job.handed_s is None and self._is_idle()

    def _drop(self) -> None:
        """Forget what is not wanted any more; root drops it unless it has begun to install."""
        self._job = self._progress = None
        outcome = handover.read_outcome(self._places.office)
        if handover.is_waiting(self._places.inbox) or (outcome and not outcome.is_over):
            handover.withdraw(self._places.inbox)
        handover.discard(self._places.inbox)

    def _go_on(self, request: Request, stop: threading.Event) -> None:
        """Download and hand over. Raises ReleaseError if the release is not taken."""
        job = self._job_for(request)
        outcome = handover.read_outcome(self._places.office)
        if outcome is not None and outcome.request == request.id:
            return  # root has it
        if job.handed_s is not None:
            self._await_root(job)
        elif not self._is_idle():
            self._progress = Progress(request.id, "waiting")
        elif job.is_complete:  # the server was told so: root soon ends sync
            self._hand_over(job)
        elif self._download(job, stop):
            job.is_complete = True
            self._progress = Progress(request.id, "installing")

    def _job_for(self, request: Request) -> _Job:
        if self._job is None or self._job.request != request:
            pinned = pinned_key(self._places.key)
            if pinned is None:
                raise ReleaseError("no_key", "this device trusts no key: blink-agent release trust")
            manifest, _ = verified(request.release, request.rotations, pinned)
            manifest.check(self._here)
            self._places.inbox.mkdir(mode=0o700, exist_ok=True)
            handover.discard(self._places.inbox, keep=manifest.sha256)
            download = Download(manifest, self._places.inbox, self._client.part)
            # Root copies it, deletes this one, and unpacks it.
            check_room(self._places.inbox, 2 * manifest.size - download.done)
            self._job = _Job(request, manifest, download)
        return self._job

    def _download(self, job: _Job, stop: threading.Event) -> bool:
        """Download for a while. Return whether the whole archive is there."""
        until_s = self._clock() + BUSY_S
        done = False
        while not done and self._clock() < until_s and not stop.is_set() and self._is_idle():
            try:
                done = job.download.step()
            except ReleaseError:
                job.damaged += 1
                if job.damaged >= MOST_DAMAGED:
                    raise
        self._progress = Progress(job.request.id, "downloading", job.download.percent)
        return done

    def _hand_over(self, job: _Job) -> None:
        self._progress = Progress(job.request.id, "installing")
        handover.send(job.request, self._places.inbox)
        job.handed_s = self._clock()

    def _await_root(self, job: _Job) -> None:
        waited_s = self._clock() - (job.handed_s or 0.0)
        if waited_s > TAKEN_S and handover.is_waiting(self._places.inbox):
            handover.withdraw(self._places.inbox)
            raise ReleaseError("not_handed_on", "blinklog-release.service did not take it")

    def _log(self, problem: str) -> None:
        if problem != self._problem:
            log.warning("%s", problem)
        self._problem = problem


def _request_of(wanted: dict[str, Any] | None) -> Request | None:
    """Read what the server wants; it is checked by its signature."""
    if wanted is None:
        return None
    release = handover.signed({"text": wanted.get("manifest"), **_signature_of(wanted)})
    keys = wanted.get("keys")
    rotations = handover.all_signed(
        [
            {"text": each.get("statement"), **_signature_of(each)} if isinstance(each, dict) else 0
            for each in (keys if isinstance(keys, list) else [])
        ]
    )
    request_id = wanted.get("request")
    if not isinstance(request_id, str) or len(request_id) > 64:
        return None
    return None if release is None or rotations is None else Request(request_id, release, rotations)


def _signature_of(found: dict[str, Any]) -> dict[str, Any]:
    return {"signature": found.get("signature")}
