"""A bound for what has none of its own."""

import threading
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def within(limit_s: float, work: Callable[[], T]) -> T:
    """What `work` returns or raises; TimeoutError after `limit_s` seconds.

    It then goes on in a thread of its own that nobody waits for: for commands that end soon.
    """
    results: list[T] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            results.append(work())
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(limit_s)
    if results:
        return results[0]
    if errors:
        raise errors[0]
    raise TimeoutError(f"not done within {limit_s:g} s")
