"""`blink-agent doctor`: run the checks one after the other, each in its own process.

A camera that hangs in the kernel, a library that crashes or a network that does not answer then
costs one line of the report and at most that check's time limit.
"""

import contextlib
import multiprocessing
import os
import signal
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any, Literal

from agent.errors import AgentError

State = Literal["ok", "bad", "off", "broken"]
"""`off`: there is nothing to check, as configured. `broken`: the check itself failed."""

END_S = 1.0  # how long a process may take to exit after its finding: libraries linger


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check found, and for a problem, a hint how to fix it."""

    state: State
    found: str
    hint: str | None = None

    @property
    def needs_action(self) -> bool:
        """Whether somebody has to do something."""
        return self.state in ("bad", "broken")


@dataclass(frozen=True, slots=True)
class Check:
    """One check and its time limit in seconds.

    An AgentError that `look` raises is a finding too: its message says what is wrong.
    """

    name: str
    limit_s: float
    look: Callable[[], Finding]
    hint: str = "see journalctl -u blinklog-watch -u blinklog-sync"


@dataclass(frozen=True, slots=True)
class Result:
    """A check's finding, and how long it took in seconds."""

    name: str
    finding: Finding
    took_s: float

    def as_json(self) -> dict[str, Any]:
        """Return one object of `doctor --json`."""
        finding = {
            "state": self.finding.state,
            "found": self.finding.found,
            "mend": self.finding.hint,
        }
        return {"check": self.name, **finding, "took_s": round(self.took_s, 3)}


def ok(found: str) -> Finding:
    """Return a finding without a problem."""
    return Finding("ok", found)


def bad(found: str, hint: str) -> Finding:
    """Return a finding that needs action."""
    return Finding("bad", found, hint)


def off(found: str) -> Finding:
    """Return a finding that there is nothing to check, as configured."""
    return Finding("off", found)


def examine(checks: Sequence[Check]) -> Iterator[Result]:
    """Run the checks; yield each result as it arrives."""
    for check in checks:
        begun = time.monotonic()
        finding = _in_process(check)
        yield Result(check.name, finding, time.monotonic() - begun)


def looked(check: Check) -> Finding:
    """Run a check in this process. Every error becomes a finding."""
    try:
        return check.look()
    except AgentError as error:
        return bad(str(error), check.hint)
    except Exception as error:  # a broken check must not stop the others
        return Finding("broken", f"the check itself failed: {type(error).__name__}: {error}")


def _in_process(check: Check) -> Finding:
    receiving, sending = multiprocessing.Pipe(duplex=False)
    child = _Child(lambda: _report(check, sending))
    sending.close()
    with receiving:
        try:
            if not receiving.poll(check.limit_s):
                return bad(f"no answer within {check.limit_s:g} s", check.hint)
            finding = receiving.recv()
            assert isinstance(finding, Finding)
            return finding
        except EOFError:
            status = _exit_status(child.wait(END_S))
            return Finding("broken", f"the check itself died: {status}", check.hint)
        finally:
            child.end()


class _Child:
    """A process that does `work`, forked: a new Python would take seconds on a Pi.

    One that hangs in the kernel can't be killed. It is left behind then, while multiprocessing
    would wait for it when this process exits.
    """

    def __init__(self, work: Callable[[], None]) -> None:
        self._status: int | None = None
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # numpy's threads only wait
            self._id = os.fork()
        if self._id == 0:
            try:
                work()
                os._exit(0)
            finally:
                os._exit(1)

    def wait(self, limit_s: float) -> int | None:
        """Return the exit status, negative for a signal; None if it still runs after `limit_s`."""
        until_s = time.monotonic() + limit_s
        while self._status is None:
            ended, status = os.waitpid(self._id, os.WNOHANG)
            if ended:
                self._status = os.waitstatus_to_exitcode(status)
            elif time.monotonic() > until_s:
                break
            else:
                time.sleep(0.01)
        return self._status

    def end(self) -> None:
        """Kill the process if it does not exit by itself."""
        if self.wait(END_S) is None:
            os.kill(self._id, signal.SIGKILL)
            self.wait(END_S)


def _exit_status(status: int | None) -> str:
    if status is not None and status < 0:
        with contextlib.suppress(ValueError):
            return signal.Signals(-status).name
    return f"exit status {status}"


def _report(check: Check, sending: Connection) -> None:
    """Run the check in the child process, with the output of libraries silenced."""
    silence = os.open(os.devnull, os.O_RDWR)
    for each in (0, 1, 2):
        os.dup2(silence, each)
    sending.send(looked(check))
    sending.close()
