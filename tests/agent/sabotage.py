"""blink-agent, and one part of it that hangs or breaks as soon as a file says so.

    python -m tests.agent.sabotage PART FILE blink-agent's arguments

It happens once: the file is gone then, and the process that is started next is sound.
"""

import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from agent import capture
from agent.cli import main as cli
from agent.cli import watch
from agent.store import file as store_file
from agent.transport import mqtt_connection
from agent.watch import loop


def hang() -> None:
    """For good, as a call into a driver or a disk does."""
    threading.Event().wait()


def fail() -> None:
    raise RuntimeError("a fault in a callback")


# The function that is hit, and what happens to it.
PARTS: dict[str, tuple[Any, str, Callable[[], None]]] = {
    "camera hangs": (capture.ReplayCamera, "read", hang),
    "store hangs": (store_file, "_transact", hang),
    "paho hangs": (mqtt_connection.Connection, "_on_message", hang),
    "paho dies": (mqtt_connection.Connection, "_on_message", fail),
}


def arm(part: str, file: Path) -> None:
    owner, name, strike = PARTS[part]
    sound = getattr(owner, name)

    def sabotaged(*arguments: Any, **named: Any) -> Any:
        if file.exists():
            file.unlink()
            strike()
        return sound(*arguments, **named)

    setattr(owner, name, sabotaged)


if __name__ == "__main__":
    arm(sys.argv[1], Path(sys.argv[2]))
    loop.FAULT_S = 0.5  # nobody looks at the light here
    store_file.WAIT_S = watch.WAIT_S = 1.0
    mqtt_connection.KEEPALIVE_S, mqtt_connection.STUCK_S, mqtt_connection.HANG_S = 1, 4.0, 0.5
    sys.exit(cli.main(sys.argv[3:]))
