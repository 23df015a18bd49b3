"""Send one message through Apprise, in a process of its own: `python -I apprise_child.py`.

The address is untrusted, and Apprise has some 150 services whose code we don't know. So the process
gets no secrets, and an audit hook refuses what no service needs: connections to addresses that this
server does not call, reading files other than Python's own and the system's certificates, writing
files, and starting programs. Reads a JSON object from the standard input: `url`, `title`, `body`,
and `private`, whether private addresses are allowed. Prints why it failed, in a line of ASCII.
"""

import ipaddress
import json
import logging
import os
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT))

from server.alerts.delivery.special_networks import is_private, is_special  # noqa: E402

SENT, FAILED, INVALID = 0, 1, 2
# What services may read: Python itself, certificates and the resolver's configuration.
READABLE = tuple(
    str(Path(each).resolve())
    for each in {
        sys.prefix, sys.base_prefix, "/usr/lib", "/usr/share", "/etc/ssl", "/etc/ca-certificates",
        "/etc/pki", "/etc/hosts", "/etc/resolv.conf", "/etc/nsswitch.conf", "/etc/mime.types",
        "/etc/localtime", "/dev/null", "/dev/urandom", "/proc/self",
    }
)  # fmt: skip
NEVER = {
    "subprocess.Popen", "os.system", "os.exec", "os.fork", "os.forkpty", "os.posix_spawn",
    "pty.spawn", "os.remove", "os.rename", "os.mkdir", "os.rmdir", "os.truncate", "os.chmod",
    "os.link", "os.symlink", "socket.bind", "ctypes.dlopen", "sqlite3.connect",
}  # fmt: skip
WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


class RefusedError(PermissionError):
    """A service tried what it may not."""


def guard(*, private: bool) -> None:
    """Refuse from now on, until the process ends, what no service needs."""

    def hook(event: str, args: tuple[Any, ...]) -> None:
        if event in ("socket.connect", "socket.sendto", "socket.sendmsg"):
            _check_address(args[-1], private=private)
        elif event == "open":
            _check_file(args[0], args[2])
        elif event in NEVER:
            raise RefusedError(f"{event} is not allowed")

    sys.addaudithook(hook)


def _check_address(address: Any, *, private: bool) -> None:
    if address is None:  # of a socket that is already connected
        return
    try:
        host = ipaddress.ip_address(str(address[0]).partition("%")[0])
    except (TypeError, ValueError, IndexError):
        raise RefusedError("only IP addresses can be called") from None
    if is_special(host) or (is_private(host) and not private):
        raise RefusedError("this server does not call that address")


def _check_file(path: Any, flags: Any) -> None:
    if isinstance(path, int):  # an open descriptor
        return
    real = os.path.realpath(os.fsdecode(path))
    inside = any(real == each or real.startswith(f"{each}/") for each in READABLE)
    writes = isinstance(flags, int) and flags & WRITES and real != "/dev/null"
    if not inside or writes:
        raise RefusedError("this file is not allowed")


def _say(reason: str) -> None:
    sys.stdout.write(f"{reason}\n")


def main() -> int:
    """Send the message. Returns `SENT`, `FAILED` or, for an address it can't use, `INVALID`."""
    told = json.load(sys.stdin)
    import apprise

    logging.disable(logging.CRITICAL)  # it logs addresses, which have secrets in them
    sender = apprise.Apprise()
    if not sender.add(told["url"]):
        _say("Apprise does not know this address")
        return INVALID
    if "body" not in told:  # only asked whether the address is one
        return SENT
    guard(private=told["private"])
    sent = sender.notify(body=told["body"], title=told["title"], body_format="text")
    if not sent:
        _say("the service did not take the message")
    return SENT if sent else FAILED


if __name__ == "__main__":
    sys.exit(main())
