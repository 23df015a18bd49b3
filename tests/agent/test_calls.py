"""Calls with a time limit: their results, their errors, and what becomes of one that hangs."""

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from agent.calls import CallThread, OverdueError, within

ROOT = Path(__file__).parents[2]


def test_a_call_returns_its_result_from_another_thread() -> None:
    assert within(10, threading.current_thread) is not threading.current_thread()


def test_a_call_raises_its_own_error() -> None:
    with pytest.raises(ZeroDivisionError):
        within(10, lambda: 1 // 0)


def test_a_timeout_of_the_call_itself_is_not_ours() -> None:
    def slow() -> None:
        raise TimeoutError("the device's own")

    with pytest.raises(TimeoutError, match="the device's own") as caught:
        within(10, slow)
    assert not isinstance(caught.value, OverdueError)


def test_a_call_that_hangs_is_given_up_in_time() -> None:
    free = threading.Event()
    began_s = time.monotonic()
    with pytest.raises(OverdueError, match=r"not done within 0\.05 s"):
        within(0.05, lambda: free.wait(10))
    assert time.monotonic() - began_s < 5
    free.set()


def test_calls_are_made_in_order_in_one_thread_which_ends() -> None:
    thread = CallThread("calls")
    first, second = (thread.submit(threading.get_ident) for _ in range(2))
    thread.end()
    assert thread.join(10)
    assert first.result(0) == second.result(0) != threading.get_ident()


@pytest.mark.parametrize(
    "call",
    ["threading.Event().wait", "ctypes.CDLL(None).pause", "lambda: os.open('fifo', os.O_RDONLY)"],
    ids=["in Python", "in C", "in the kernel"],
)
def test_a_call_that_never_returns_keeps_no_process_from_exiting(call: str, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    code = f"""
import ctypes, os, threading
from agent.calls import OverdueError, within
try:
    within(0.1, {call})
except OverdueError:
    print("given up")
"""
    ran = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert (ran.returncode, ran.stdout) == (0, "given up\n")
