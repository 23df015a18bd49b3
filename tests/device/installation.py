"""The other end: the real server and the real broker, on this host's loopback interface.

The device finds them at 10.0.2.2, which is what qemu's network makes of it.
"""

import contextlib
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import requests

from tests.device.ntp import serving_time
from tests.device.sockets import DeviceError
from tests.e2e.installation import PASSWORD, Installation
from tests.server.secured import openssl

HOST = "10.0.2.2"
ASK_S = 0.5


class Server(Installation):
    """An installation whose devices come from the emulated network."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.device_url = self.url.replace("127.0.0.1", HOST)
        self._environment |= {
            "BLINKLOG_ALLOWED_HOSTS": f"127.0.0.1,{HOST}",
            "BLINKLOG_DEVICE_MQTT_URL": f"mqtts://{HOST}:{self.broker.port}",
            "BLINKLOG_DEVICE_CA_FILE": str(self.broker.ca_file),
        }
        _name_broker(folder, ["127.0.0.1", HOST])

    def start(self) -> None:
        """Everything but the devices."""
        super().start()
        password = str(self.file("password", PASSWORD))
        for person in ("berta", "dora", "emma"):
            self.server("create-person", person, "--password-file", password)
            self.server("link", "carl", person)

    def claim_code(self, person: str, label: str) -> str:
        """What makes a device hers."""
        made = self.server("claim-code", "--person", person, "--label", label, "--json")
        return str(made["code"])

    def sessions(self, person: str) -> dict[str, dict[str, Any]]:
        """Her whole history, by id."""
        found: dict[str, dict[str, Any]] = {}
        query = {"user": person, "limit": "200"}
        while True:
            page = self.get("/api/session/history/", **query)
            found |= {each["id"]: each for each in page["results"]}
            if not page["next"]:
                return found
            query = dict(parse_qsl(urlsplit(page["next"]).query))

    def session(self, session_id: str) -> dict[str, Any]:
        """One session, with its minutes and blinks."""
        return dict(self.get(f"/api/session/{session_id}/"))


def wait_for(ask: Callable[[], Any], what: str, timeout_s: float) -> Any:
    """The answer, once there is one. Raises DeviceError where there is none in time."""
    deadline = time.monotonic() + timeout_s
    while True:
        with contextlib.suppress(requests.RequestException):
            if answer := ask():
                return answer
        if time.monotonic() > deadline:
            raise DeviceError(f"never happened on the server: {what} (waited {timeout_s:.0f} s)")
        time.sleep(ASK_S)


@contextlib.contextmanager
def running_server(folder: Path) -> Iterator[Server]:
    """Server, consumer, broker and the time, for as long as the block lasts."""
    made = Server(folder)
    with serving_time():
        try:
            made.start()
            yield made
        finally:
            made.stop()


def _name_broker(folder: Path, addresses: list[str]) -> None:
    """Its certificate anew, for all addresses that it is reached at."""
    names = ",".join(f"IP:{each}" for each in addresses)
    text = f"subjectAltName={names}\nauthorityKeyIdentifier=keyid\n"
    (folder / "extensions").write_text(text)
    signing = "-CA ca.crt -CAkey ca.key -CAcreateserial -days 2 -extfile extensions"
    openssl(f"x509 -req -in server.csr {signing} -out server.crt", folder)
