"""The root service that joins networks and enrols: see `agent.system.handover`.

It is started for a code that `watch` has read, and at boot for a file on the boot partition
(`agent.enrol.boot_file`). Each outcome is an answer that `watch` and `status` read. A secret is
removed from where it was found before this returns; one that a killed process left, at the next
start.
"""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from agent.enrol import boot_file, wifi
from agent.enrol.claim import ClaimError
from agent.enrol.codes import Code, CodeError, ServerCode, WifiCode, parse
from agent.enrol.enrol import EnrolRequest, enrol
from agent.errors import AgentError
from agent.system import handover
from agent.system.handover import Answer, Outcome
from agent.transport.request import UnreachedError

log = logging.getLogger(__name__)

CODE_S = 30.0  # how long to try to reach the server after a code: a network may just have come up
BOOT_S = 300.0  # and after a start: after a power cut a router needs minutes
RETRY_S = 3.0
ROUTES, ROUTES_6 = Path("/proc/net/route"), Path("/proc/net/ipv6_route")


def has_default_route() -> bool:
    """Return whether this device has a way out of its own network, for IPv4 or IPv6."""
    try:
        by_4 = any(line.split()[1:2] == ["00000000"] for line in _lines(ROUTES))
        return by_4 or any(
            line.split()[:2] == ["0" * 32, "00"] and line.split()[-1] != "lo"
            for line in _lines(ROUTES_6)
        )
    except OSError:
        return True  # it can't be told


def _lines(path: Path) -> list[str]:
    return path.read_text().splitlines() if path.exists() else []


@dataclass(frozen=True, slots=True)
class Joining:
    """The service's surroundings. `file` is the configuration.

    `count_unsent` counts undelivered sessions; `enrolled` is called after an enrolment.
    """

    file: Path
    count_unsent: Callable[[], int]
    enrolled: Callable[[], None]
    requests: Path = handover.REQUESTS
    answers: Path = handover.ANSWERS
    profiles: Path = wifi.PROFILES
    boot_folders: tuple[Path, ...] = boot_file.FOLDERS
    has_route: Callable[[], bool] = has_default_route
    code_s: float = CODE_S
    boot_s: float = BOOT_S

    def run(self) -> None:
        """Do what was asked for: by a request, and by a file on the boot partition."""
        wifi.forget_trial(self.profiles)
        request = handover.take_request(self.requests)
        if request is not None:
            self._answer(request.id, "working")
            self._answer(request.id, *self._for_text(request.text))
        path = boot_file.find(self.boot_folders)
        if path is not None:
            self._take_boot_file(path)

    def _answer(
        self, request_id: str, outcome: Outcome, problem: str | None = None, source: str = "camera"
    ) -> None:
        if problem is not None:
            log.warning("%s: %s: %s", source, outcome, problem)
        else:
            log.info("%s: %s", source, outcome)
        at = datetime.now(UTC).isoformat(timespec="seconds")
        handover.write_answer(Answer(request_id, outcome, problem, source, at), self.answers)

    def _for_text(self, text: str) -> tuple[Outcome, str | None]:
        try:
            return self._use(parse(text), self.code_s)
        except CodeError as error:
            return "failed", str(error)

    def _take_boot_file(self, path: Path) -> None:
        self._answer("boot", "working", source="boot file")
        try:
            outcome, problem = self._for_boot_file(path)
        finally:
            try:
                boot_file.remove(path)
            except OSError as error:
                log.error("%s holds a password and can't be removed: %s", path, error.strerror)
        self._answer("boot", outcome, problem, source="boot file")

    def _for_boot_file(self, path: Path) -> tuple[Outcome, str | None]:
        try:
            asked = boot_file.read(path)
        except AgentError as error:
            return "failed", str(error)
        outcome: tuple[Outcome, str | None] = ("joined", None)
        for each in (asked.wifi, asked.server):
            if each is not None:
                outcome = self._use(each, self.boot_s)
            if outcome[0] == "failed":
                break
        return outcome

    def _use(self, code: Code, patience_s: float) -> tuple[Outcome, str | None]:
        """Use a code. Return the outcome, and why it failed."""
        try:
            if isinstance(code, WifiCode):
                wifi.join(code, self.profiles)
                return "joined", None
            self._enrol(code, patience_s)
        except (UnreachedError, ClaimError) as error:
            outcome: Outcome = "failed" if self.has_route() or _was_sent(error) else "offline"
            return outcome, str(error)
        except AgentError as error:
            return "failed", str(error)
        except Exception as error:
            log.exception("this is an error in Blinklog")
            return "failed", f"an error in Blinklog: {type(error).__name__}"
        self.enrolled()
        return "enrolled", None

    def _enrol(self, code: ServerCode, patience_s: float) -> None:
        """Enrol, and try again for a while if the server can't be reached.

        A device without a route gives up at once after a code, since another code may follow.
        """
        request = EnrolRequest(
            code.url,
            code.code,
            self.file,
            ca_fingerprint=code.ca,
            mqtt_ca_fingerprint=code.mqtt_ca,
            again=True,
        )
        until_s = time.monotonic() + patience_s
        while True:
            try:
                enrol(request, self.count_unsent)
                return
            except (UnreachedError, ClaimError) as error:
                waits = self.has_route() or patience_s > self.code_s
                if _was_sent(error) or not waits or time.monotonic() >= until_s:
                    raise
                log.info("the server is not reached yet: %s", error)
                time.sleep(RETRY_S)


def _was_sent(error: UnreachedError | ClaimError) -> bool:
    """Return whether the server may have seen the code: then there is nothing to try again."""
    if isinstance(error, UnreachedError):
        return error.sent
    return error.spent or not isinstance(error.__cause__, UnreachedError)
