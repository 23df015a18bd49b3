"""How the parts are joined: what the commands share, made as the configuration says."""

import argparse
import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from agent import __version__
from agent.config import AgentConfig
from agent.errors import ConfigError
from agent.store.store import Store
from agent.sync import Sync, Transport
from agent.system import systemd
from agent.system.owner import acting_as_owner

NOWHERE = (
    "expected [server] url with a token, or [mqtt] host, to deliver to; found neither: run"
    " blink-agent enrol"
)

Run = Callable[[argparse.Namespace], int | None]
"""A command: its exit status, or None for 0."""

AddCommand = Callable[[str, Run, str], argparse.ArgumentParser]
"""Makes a command's parser of its name, what it runs, and a sentence about it."""


@contextlib.contextmanager
def open_store(settings: AgentConfig) -> Iterator[Store]:
    """The store, for as long as the block lasts. Root is inside who owns it: secrets that only
    root may read have to be read before."""
    with acting_as_owner(settings.store_path):
        store = Store(settings.store_path)
        try:
            yield store
        finally:
            store.close()


def transports(settings: AgentConfig, *, lasting: bool = False) -> list[Transport]:
    """Over the broker first where there is one, then over HTTP. `lasting` is seen as present."""
    ways = (mqtt(settings, lasting=lasting), http(settings))
    return [each for each in ways if each is not None]


@contextlib.contextmanager
def open_sync(store: Store, ways: Sequence[Transport]) -> Iterator[Sync]:
    """Delivers from `store` over `ways`, until the block ends. Raises ConfigError for no way."""
    if not ways:
        raise ConfigError(NOWHERE)
    with contextlib.closing(Sync(store, ways, alive=systemd.watchdog)) as sync:
        yield sync


def mqtt(settings: AgentConfig, *, lasting: bool) -> Transport | None:
    """The way over the broker, or None where none is configured."""
    # Imported here alone: `watch` has no use for it, and it takes memory.
    from agent.transport.mqtt import MqttSettings, MqttTransport

    server, broker = settings.server, settings.mqtt
    if broker.host is None or server.device is None:
        return None
    return MqttTransport(
        MqttSettings(
            host=broker.host,
            port=broker.port,
            tls=broker.tls,
            ca_file=broker.ca_file,
            username=server.device,
            password=settings.mqtt_password,
            device=server.device,
        ),
        presence={"agent_version": __version__} if lasting else None,
    )


def http(settings: AgentConfig) -> Transport | None:
    """The way to the server itself, or None where there is no address or no token."""
    from agent.transport.http import HttpSettings, HttpTransport

    server, token = settings.server, settings.api_token
    if server.url is None or token is None:
        return None
    return HttpTransport(
        HttpSettings(
            url=server.url, token=token, ca_file=server.ca_file, timeout_s=server.timeout_s
        )
    )


def plain(value: Any) -> str:
    """A value of a report, for people."""
    if isinstance(value, dict):
        return ", ".join(f"{key} {plain(each)}" for key, each in value.items())
    return "-" if value is None else str(value)


def delivery_report(store: Store) -> str:
    """How far delivery has come, in a line."""
    return f"{plain(store.counts())}; {plain(store.noted('delivery'))}"
