"""What systemd is told: ready, alive, stopping, and a line for `systemctl status`."""

import contextlib
import os
import socket


def looks_on() -> bool:
    """Whether it waits for these words, and starts the service again when it ends."""
    return bool(os.environ.get("NOTIFY_SOCKET"))


def ready() -> None:
    """The service does its work from now on."""
    _notify("READY=1")


def watchdog() -> None:
    """There was progress. Called from the loop that makes it, never from a timer."""
    _notify("WATCHDOG=1")


def status(text: str) -> None:
    """One line for `systemctl status`, without personal data."""
    _notify(f"STATUS={text}")


def stopping() -> None:
    """The service is on its way out."""
    _notify("STOPPING=1")


def _notify(message: str) -> None:
    """sd_notify(3): one datagram to the socket that systemd named.

    One that it can't take costs no session: if it goes without for too long, it ends us itself.
    """
    address = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return
    if address.startswith("@"):  # the abstract namespace
        address = "\0" + address[1:]
    with (
        contextlib.suppress(OSError),
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as out,
    ):
        out.settimeout(1)
        out.connect(address)
        out.send(message.encode())
