"""Starts processes in milliseconds: a parent that has imported everything forks, a child runs.

    python -m tests.faults.launcher MODULE...

imports the modules, reads a JSON object a line from standard input,

    {"call": "agent.cli.main:main", "arguments": ["sync"], "log": "/…/sync.log", "dies": null}

and answers with the process id. The child is a process like any other: its own group and log, the
program's own main function. `dies` is a point of `tests.faults.crash_points`, and how often the
child passes it before it kills itself there.

Whatever it started dies with it, and it ends when its standard input does.
"""

import contextlib
import ctypes
import importlib
import json
import os
import random
import select
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.faults import crash_points

ROOT = Path(__file__).resolve().parent.parent.parent
PR_SET_PDEATHSIG = 1  # prctl(2): a child gets a signal when its parent dies
END_S = 20.0  # how long an orderly end may take


class Process:
    """A process of the launcher's, and the group that it leads."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self._descriptor = os.pidfd_open(pid)

    def alive(self) -> bool:
        """Whether it runs, or is paused."""
        return self._descriptor >= 0 and not self._ended(0)

    def signal(self, number: signal.Signals) -> None:
        """To the whole group, if it is there; a child that was just born leads none yet."""
        if self.alive():
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.pid, number)
                return
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._descriptor, number)

    def wait(self, timeout_s: float) -> bool:
        """Whether it ended in time."""
        return self._descriptor < 0 or self._ended(timeout_s)

    def kill(self) -> None:
        """kill -9; returns when it is gone."""
        self.signal(signal.SIGKILL)
        if not self.wait(END_S):
            raise RuntimeError(f"process {self.pid} outlives kill -9")
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def _ended(self, timeout_s: float) -> bool:
        """A process's descriptor can be read from when it has ended."""
        poll = select.poll()
        poll.register(self._descriptor, select.POLLIN)
        return bool(poll.poll(timeout_s * 1000))


class Launcher:
    """The parent, with `environment` in addition to ours."""

    def __init__(self, modules: Sequence[str], environment: Mapping[str, str]) -> None:
        self._parent = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.launcher", *modules],
            env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=ROOT,
            text=True,
        )

    def start(
        self, call: str, *arguments: str | Path, log: Path, dies: tuple[str, int] | None = None
    ) -> Process:
        """Starts a process that runs `module:function` with its arguments as a list."""
        order = {"call": call, "arguments": [str(each) for each in arguments]}
        assert self._parent.stdin is not None
        assert self._parent.stdout is not None
        self._parent.stdin.write(json.dumps({**order, "log": str(log), "dies": dies}) + "\n")
        self._parent.stdin.flush()
        return Process(int(self._parent.stdout.readline()))

    def run(self, call: str, *arguments: str | Path, log: Path) -> str:
        """Runs one to its end; what it said."""
        log.unlink(missing_ok=True)
        process = self.start(call, *arguments, log=log)
        in_time = process.wait(60)
        process.kill()
        if not in_time:
            raise RuntimeError(f"{call} {arguments} takes too long: {log.read_text()}")
        return log.read_text()

    def close(self) -> None:
        """Ends it, and with it all that it started."""
        with self._parent:  # closes its standard input, and waits
            pass


# In the parent


def main(modules: Sequence[str]) -> None:
    """Reads orders until there are no more."""
    for name in modules:
        importlib.import_module(name)
    children: list[int] = []
    for line in sys.stdin:
        children = [pid for pid in children if not _reaped(pid)]
        order = json.loads(line)
        pid = os.fork()
        if pid == 0:
            _be_child(order)
        children.append(pid)
        sys.stdout.write(f"{pid}\n")
        sys.stdout.flush()
    for pid in children:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(pid, signal.SIGKILL)


def _reaped(pid: int) -> bool:
    """Only here: until the next order a dead child keeps its number."""
    return os.waitpid(pid, os.WNOHANG)[0] == pid


def _be_child(order: dict[str, Any]) -> None:
    """Never returns."""
    status = 1
    try:
        os.setsid()
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        _redirect(order["log"])
        random.seed()  # or all children would draw the same delays
        if order["dies"] is not None:
            crash_points.arm(*order["dies"])
        module, _, name = order["call"].partition(":")
        sys.argv = [name, *order["arguments"]]
        status = getattr(importlib.import_module(module), name)(order["arguments"]) or 0
    except SystemExit as error:
        status = error.code if isinstance(error.code, int) else 1
    except BaseException:
        sys.excepthook(*sys.exc_info())
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(int(status))


def _redirect(log: str) -> None:
    nothing = os.open(os.devnull, os.O_RDONLY)
    out = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    for target, source in ((0, nothing), (1, out), (2, out)):
        os.dup2(source, target)


def until(condition: Any, what: str, timeout_s: float = 30.0, *, every_s: float = 0.01) -> Any:
    """Waits until `condition()` is true, and returns it; what never happens is an error."""
    deadline = time.monotonic() + timeout_s
    while not (value := condition()):
        if time.monotonic() > deadline:
            raise TimeoutError(f"never happened within {timeout_s:g} s: {what}")
        time.sleep(every_s)
    return value


if __name__ == "__main__":
    main(sys.argv[1:])
