"""Places in the real code at which a process is to die, whatever the timing.

The process kills itself and its group, as kill -9 would from outside: nothing is flushed, closed or
said.
"""

import functools
import importlib
import os
import signal
from collections.abc import Callable
from typing import Any

# name: the function, and whether it has run when the process dies.
POINTS: dict[str, tuple[str, bool]] = {
    "watch: killed after the final measurement, before storing it": (
        "agent.measure.recording:Recording.finish",
        True,
    ),
    "watch: killed before storing a document": ("agent.store.store:Store.put", False),
    "watch: killed after storing a document": ("agent.store.store:Store.put", True),
    "sync: killed before recording an acknowledgement": (
        "agent.store.store:Store.acknowledge",
        False,
    ),
    "sync: killed after recording an acknowledgement": (
        "agent.store.store:Store.acknowledge",
        True,
    ),
    "server: killed after writing, before the commit": ("server.session_data.accept:_write", True),
    "server: killed after the commit, before answering": (
        "server.session_data.views:answer",
        False,
    ),
    "server: killed after writing a batch, before the commit": (
        "server.session_data.receive:Delivery.note_sender",
        True,
    ),
    "server: killed after the commit of a batch, before answering": (
        "server.session_data.batch:told",
        False,
    ),
    "sync: killed after recording some acknowledgements of a batch": (
        "agent.store.store:Store.acknowledge",
        True,
    ),
    "consumer: killed after writing, before the commit": (
        "server.session_data.accept:_write",
        True,
    ),
    "consumer: killed after the commit, before answering": (
        "server.common.mqtt:Connection.answer",
        False,
    ),
    "consumer: killed after answering, before the PUBACK to the broker": (
        "server.common.mqtt:Connection.acknowledge",
        False,
    ),
}


def arm(name: str, passes: int) -> None:
    """Makes this process die at the point, after it was passed `passes` times."""
    place, after = POINTS[name]
    module, _, path = place.partition(":")
    owner: Any = importlib.import_module(module)
    *outer, attribute = path.split(".")
    for each in outer:
        owner = getattr(owner, each)
    setattr(owner, attribute, _deadly(getattr(owner, attribute), passes, after))


def _deadly(function: Callable[..., Any], passes: int, after: bool) -> Callable[..., Any]:
    left = passes

    @functools.wraps(function)
    def wrapped(*arguments: Any, **named: Any) -> Any:
        nonlocal left
        left -= 1
        if left < 0 and not after:
            _die()
        result = function(*arguments, **named)
        if left < 0:
            _die()
        return result

    return wrapped


def _die() -> None:
    os.killpg(os.getpgrp(), signal.SIGKILL)
