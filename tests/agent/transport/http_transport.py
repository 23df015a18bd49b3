"""Transports to a stand-in server."""

from typing import Any

from agent.transport.http import HttpSettings, HttpTransport
from tests.agent.servers import TOKEN, Api


class opened:  # noqa: N801 - reads as a function
    """A transport to `api`, closed again."""

    def __init__(self, api: Api, **changes: Any) -> None:
        settings = {"url": api.url, "token": TOKEN, "timeout_s": 5.0, **changes}
        self._transport = HttpTransport(HttpSettings(**settings))

    def __enter__(self) -> HttpTransport:
        return self._transport

    def __exit__(self, *_: object) -> None:
        self._transport.close()
