"""`blink-agent doctor`: one check after the other, each in a process of its own.

So a camera that hangs in the kernel, a library that crashes and a network that says nothing cost
one line of the report, and at most that check's own time.
"""

import contextlib
import multiprocessing
import os
import signal
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from multiprocessing.connection import Connection
from typing import Any, Literal

from agent.errors import AgentError

State = Literal["ok", "bad", "off", "broken"]
"""`off`: there is nothing to check, and that is meant. `broken`: the check itself failed."""

END_S = 1.0  # until a process that has given its finding is ended: libraries linger


@dataclass(frozen=True, slots=True)
class Finding:
    """What was found, and for what is bad, how to mend it."""

    state: State
    found: str
    mend: str | None = None

    @property
    def needs_mending(self) -> bool:
        """Whether somebody has to do something."""
        return self.state in ("bad", "broken")


@dataclass(frozen=True, slots=True)
class Check:
    """Something to look at, and how long that may take, in seconds.

    An AgentError that `look` raises is a finding too: its message says what is wrong.
    """

    name: str
    limit_s: float
    look: Callable[[], Finding]
    mend: str = "see journalctl -u blinklog-watch -u blinklog-sync"


@dataclass(frozen=True, slots=True)
class Result:
    """A check's finding, and how long it took, in seconds."""

    name: str
    finding: Finding
    took_s: float

    def as_json(self) -> dict[str, Any]:
        """One object of `doctor --json`."""
        return {"check": self.name, **asdict(self.finding), "took_s": round(self.took_s, 3)}


def ok(found: str) -> Finding:
    """All is well."""
    return Finding("ok", found)


def bad(found: str, mend: str) -> Finding:
    """Somebody has to do something."""
    return Finding("bad", found, mend)


def off(found: str) -> Finding:
    """Nothing to check, and that is meant."""
    return Finding("off", found)


def examine(checks: Sequence[Check]) -> Iterator[Result]:
    """The results, as they come."""
    for check in checks:
        begun = time.monotonic()
        finding = _in_a_process(check)
        yield Result(check.name, finding, time.monotonic() - begun)


def looked(check: Check) -> Finding:
    """The finding of a check, here and now, whatever becomes of it."""
    try:
        return check.look()
    except AgentError as error:
        return bad(str(error), check.mend)
    except Exception as error:  # a check that breaks is a finding: the others go on
        return Finding("broken", f"the check itself failed: {type(error).__name__}: {error}")


def _in_a_process(check: Check) -> Finding:
    context = multiprocessing.get_context("fork")  # a new Python would take seconds on a Pi
    receiving, sending = context.Pipe(duplex=False)
    process = context.Process(target=_report, args=(check, sending), daemon=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of numpy's threads, which only wait
        process.start()
    sending.close()
    try:
        if not receiving.poll(check.limit_s):
            return bad(f"no answer within {check.limit_s:g} s", check.mend)
        finding = receiving.recv()
        assert isinstance(finding, Finding)
        return finding
    except EOFError:
        process.join(END_S)
        return Finding("broken", f"the check itself died: {_end(process.exitcode)}", check.mend)
    finally:
        receiving.close()
        process.join(END_S)
        process.kill()


def _end(status: int | None) -> str:
    if status is not None and status < 0:
        with contextlib.suppress(ValueError):
            return signal.Signals(-status).name
    return f"exit status {status}"


def _report(check: Check, sending: Connection) -> None:
    """In the child: libraries that print what they find say it in the finding's place."""
    silence = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silence, 1)
    os.dup2(silence, 2)
    sending.send(looked(check))
    sending.close()
