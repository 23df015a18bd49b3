"""Run tests in forks of one process that has the libraries loaded already.

Loading pytest, hypothesis and Django takes most of the time of a short test run, and a mutant needs
one run. This process loads them once and then forks for each run. What is mutated is loaded in the
fork only: this process loads nothing of the folder in which it runs, but `server` where only the
agent is mutated, which never imports it.

It reads one JSON object a line: `arguments` of pytest, `limit_s`, and `keep`, whether to write
bytecode. It answers with one: `status`, pytest's or null after `limit_s` seconds, and `output`.
"""

import contextlib
import importlib
import json
import os
import random
import select
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

LIBRARIES = (
    "pytest",
    "hypothesis.stateful",
    "numpy",
    "requests",
    "paho.mqtt.client",
    "sqlite_utils",
)
START_S = 300.0  # for loading the libraries, beside much other work


@dataclass(frozen=True, slots=True)
class Run:
    """How the tests ended: pytest's exit status, None if they ran for too long."""

    status: int | None
    output: str


class Forks:
    """The process that forks."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process

    def run(self, arguments: Sequence[str], limit_s: float, *, keep: bool = False) -> Run:
        """Run pytest with these arguments in the folder of the process."""
        order = {"arguments": list(arguments), "limit_s": limit_s, "keep": keep}
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        ready, _, _ = select.select([self._process.stdout], [], [], START_S + limit_s)
        answer = self._process.stdout.readline() if ready else ""
        if not answer:
            raise RuntimeError("the process that runs the tests ended, or hangs")
        return Run(**json.loads(answer))


@contextlib.contextmanager
def forks(*, with_server: bool) -> Iterator[Forks]:
    """Start the process in the current folder. `with_server`: load Django's applications too."""
    command = [sys.executable, "-P", __file__, *(["server"] if with_server else [])]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            yield Forks(process)
        finally:
            process.kill()


# In the process


def serve(*, with_server: bool) -> None:
    """Load the libraries, then run tests as they are asked for, until the input ends."""
    for name in LIBRARIES:
        importlib.import_module(name)
    if with_server:
        os.environ.setdefault("DJANGO_SETTINGS_MODULE", "server.config.settings")
        importlib.import_module("django").setup()
    for line in sys.stdin:
        print(json.dumps(_run(**json.loads(line))), flush=True)


def _run(arguments: list[str], limit_s: float, keep: bool) -> dict[str, Any]:
    with tempfile.TemporaryFile() as output:
        child = os.fork()
        if child == 0:
            _test(arguments, output.fileno(), keep)
        status = _ended(child, limit_s)
        output.seek(0)
        return {"status": status, "output": output.read().decode(errors="replace")}


def _ended(child: int, limit_s: float) -> int | None:
    """Wait for the end of the tests; then nothing that they have started goes on."""
    watched = os.pidfd_open(child)
    try:
        in_time = bool(select.select([watched], [], [], limit_s)[0])
    finally:
        os.close(watched)
    with contextlib.suppress(ProcessLookupError):  # its group is not there yet, or empty
        os.killpg(child, signal.SIGKILL)
    with contextlib.suppress(ProcessLookupError):
        os.kill(child, signal.SIGKILL)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return status if in_time else None


def _test(arguments: list[str], output: int, keep: bool) -> None:
    """Be the fork: run the tests and end."""
    status = 1
    try:
        os.setsid()
        random.seed()  # what an earlier run left may still have its ports
        with Path(os.devnull).open("rb") as nothing:
            os.dup2(nothing.fileno(), 0)
        os.dup2(output, 1)
        os.dup2(output, 2)
        if not keep:
            # Two mutants of one length and one second would share their bytecode.
            sys.dont_write_bytecode = True
            os.environ["PYTHONDONTWRITEBYTECODE"] = "1"
        pytest = importlib.import_module("pytest")
        status = int(pytest.main(arguments))
        sys.stdout.flush()
        sys.stderr.flush()
    finally:
        os._exit(status)


if __name__ == "__main__":
    serve(with_server="server" in sys.argv[1:])
