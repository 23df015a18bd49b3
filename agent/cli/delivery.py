"""Create the store, the transports and the delivery from the configuration, for all commands."""

import argparse
import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from agent import __version__
from agent.config import AgentConfig
from agent.errors import ConfigError
from agent.records import Document
from agent.store.store import Store
from agent.sync import Sync, Transport
from agent.system import systemd
from agent.system.owner import acting_as_owner

NO_TRANSPORT = (
    "expected [server] url with a token, or [mqtt] host; found neither: run blink-agent enrol"
)

Run = Callable[[argparse.Namespace], int | None]
"""A command: returns its exit status, or None for 0."""

AddCommand = Callable[[str, Run, str], argparse.ArgumentParser]
"""Adds a command: takes its name, its function and its description, and returns its parser."""


@contextlib.contextmanager
def open_store(settings: AgentConfig, *, wait_s: float | None = None) -> Iterator[Store]:
    """Open the store for the length of the block. `wait_s` is how long it waits for others.

    Inside the block, root acts as the store's owner. Read root-only secrets first.
    """
    with acting_as_owner(settings.store_path):
        store = Store(settings.store_path, alive=systemd.long_step, wait_s=wait_s)
        try:
            yield store
        finally:
            store.close()


def transports(settings: AgentConfig, *, lasting: bool = False) -> list[Transport]:
    """Return the configured transports: MQTT first, then HTTP.

    With `lasting`, the MQTT connection announces this device as online.
    """
    configured = (mqtt(settings, lasting=lasting), http(settings))
    return [each for each in configured if each is not None]


@contextlib.contextmanager
def open_sync(
    store: Store,
    transports: Sequence[Transport],
    view: Callable[[], Document | None] = lambda: None,
    device: str | None = None,
) -> Iterator[Sync]:
    """Deliver from `store` over `transports` until the block ends.

    `view` and `device` are as in `Sync`.

    Raises ConfigError if there is no transport.
    """
    if not transports:
        raise ConfigError(NO_TRANSPORT)
    sync = Sync(store, transports, alive=systemd.watchdog, view=view, device=device)
    with contextlib.closing(sync):
        yield sync


def mqtt(settings: AgentConfig, *, lasting: bool) -> Transport | None:
    """Return the MQTT transport, or None if no broker is configured."""
    # Imported here because `watch` does not need it, and it takes memory.
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
    """Return the HTTP transport, or None if there is no URL or no token."""
    from agent.transport.http import HttpSettings, HttpTransport

    server, token = settings.server, settings.api_token
    if server.url is None or token is None:
        return None
    return HttpTransport(
        HttpSettings(
            url=server.url,
            token=token,
            ca_file=server.ca_file,
            timeout_s=server.timeout_s,
            commands_s=server.commands_s,
        )
    )


def plain(value: Any) -> str:
    """Format a value of a report for people."""
    if isinstance(value, dict):
        return ", ".join(f"{key} {plain(each)}" for key, each in value.items())
    return "-" if value is None else str(value)


def delivery_report(store: Store) -> str:
    """Describe the state of delivery in one line."""
    return f"{plain(store.counts())}; {plain(store.noted('delivery'))}"
