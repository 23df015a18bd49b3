"""`blink-agent release`: the root service of updates, the key that signs them, and sync's part."""

import argparse
import os
import platform
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from agent import __version__, config
from agent.cli.delivery import AddCommand
from agent.config import AgentConfig
from agent.errors import AgentError
from agent.files import FileTransaction
from agent.health.idle import is_idle
from agent.release import handover
from agent.release.installing import Installing, forget_tries
from agent.release.manifest import Machine
from agent.release.signature import KEY_NAME, checked_key, fingerprint, pinned_key
from agent.release.updater import Places, Updater
from agent.release.upgrade import Upgrade


def add_commands(command: AddCommand) -> None:
    """Add the command with its actions."""
    release = command("release", _run, "the key that signs releases, and updates (service)")
    actions = release.add_subparsers(dest="action", required=True, metavar="ACTION")
    trust = actions.add_parser("trust", help="trust the server's key for releases")
    trust.add_argument("fingerprint", nargs="?", metavar="FINGERPRINT", help="of the server's key")
    actions.add_parser("retry", help="let releases that have failed here be tried again")
    actions.add_parser("install", help="install what sync has downloaded (service)")


def _run(options: argparse.Namespace) -> int:
    settings = config.load(options.config)
    if options.action == "install":
        _install(settings)
        return 0
    if options.action == "retry":
        forget_tries(handover.OFFICE)
        print("Releases that have failed here can be tried again: ask for them on the page.")
        return 0
    return _trust(settings, options.fingerprint)


def here() -> Machine:
    """Return what runs here."""
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    return Machine(__version__, platform.machine(), python)


def key_file(settings: AgentConfig) -> Path:
    """Return the file of the pinned key, beside the configuration."""
    return settings.file.expanduser().absolute().with_name(KEY_NAME)


def _install(settings: AgentConfig) -> None:
    handover.OFFICE.mkdir(mode=0o755, exist_ok=True)
    Installing(
        here(),
        key_file(settings),
        handover.INBOX,
        handover.OFFICE,
        lambda: is_idle(settings.store_path),
        Upgrade(handover.OFFICE / "install.log"),
    ).run()


def _trust(settings: AgentConfig, wanted: str | None) -> int:
    from agent.transport.releases import key_of

    if settings.server.url is None:
        raise AgentError("this device is not enrolled: blink-agent enrol gives it the key")
    told = key_of(settings.server.url.rstrip("/"), settings.server.ca_file)
    if told is None:
        raise AgentError("the server offers no releases")
    key = checked_key(told)
    if wanted is None:
        known = pinned_key(key_file(settings))
        print(f"The server's key is {fingerprint(key)}.")
        print(f"This device trusts {fingerprint(known) if known else 'none'}.")
        print("Compare it with the operator's (blink-server release key); if it is theirs, run")
        print(f"  sudo blink-agent release trust {fingerprint(key)}")
        return int(known != key)
    if wanted != fingerprint(key):
        raise AgentError(f"the server's key: expected {wanted}, found {fingerprint(key)}")
    with FileTransaction({key_file(settings): 0o644}) as files:
        files.write(key_file(settings), key.encode())
    print(f"This device takes releases that {wanted} has signed.")
    return 0


@contextmanager
def taking_updates(settings: AgentConfig) -> Iterator[None]:
    """Take updates beside the block, if the server can be asked over HTTP."""
    from agent.transport.releases import ReleaseClient

    url, token = settings.server.url, settings.api_token
    if url is None or token is None:
        yield
        return
    state = Path(os.environ.get("STATE_DIRECTORY", str(settings.store_path.parent)).split(":")[0])
    updater = Updater(
        ReleaseClient(url.rstrip("/"), token, settings.server.ca_file),
        here(),
        Places(key_file(settings), state / handover.INBOX.name),
        lambda: is_idle(settings.store_path),
    )
    stop = threading.Event()
    thread = threading.Thread(target=updater.run, args=(stop,), name="updates", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(timeout=1.0)  # a part that is being fetched is fetched again
