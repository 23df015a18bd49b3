"""Ask the server for a release, and fetch its archive in parts."""

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agent.errors import DeliveryError
from agent.transport.answers import problem_of, seconds_of
from agent.transport.request import Answer, UnreachedError, ask

PATH = "/api/device/release/"
KEY_PATH = "/api/device/release/key/"
PART_BYTES = 1 << 20  # the server sends no more at once
PART_S = 60.0  # at 17 kB/s
MOST_ANSWER = 64 << 10  # a manifest, and the changes of the key

_RANGE = re.compile(r"bytes (\d{1,12})-(\d{1,12})/(\d{1,12})")


@dataclass(frozen=True, slots=True)
class ReleaseClient:
    """The server's address, this device's token, and the certificates to trust."""

    url: str
    token: str
    ca_file: Path | None = None

    def report(self, told: dict[str, Any]) -> dict[str, Any] | None:
        """Report this device's version and update. Return what the server wants installed.

        It is not validated. None also stands for an older server. Raises DeliveryError.
        """
        answer = self._ask("POST", PATH, body=told, most=MOST_ANSWER)
        if answer.status == 404:
            return None
        found = _object(answer.body)
        if answer.status != 200 or "wanted" not in found:
            raise _problem(answer)
        wanted = found["wanted"]
        return wanted if isinstance(wanted, dict) else None

    def part(self, sha256: str, first: int, size: int) -> bytes:
        """Return a part of the archive from byte `first` on; never nothing.

        Raises DeliveryError, also if it is not a part of an archive of this size.
        """
        headers = {"Range": f"bytes={first}-", "Accept-Encoding": "identity"}
        most = min(PART_BYTES, size - first)
        answer = self._ask("GET", f"{PATH}{sha256}/", headers=headers, most=most, answer_s=PART_S)
        if answer.status != 206:
            raise _problem(answer)
        told = _RANGE.fullmatch(answer.headers.get("Content-Range", ""))
        if told is None or int(told[1]) != first or int(told[3]) != size or not answer.body:
            raise DeliveryError("expected a part of the archive, found another answer")
        return answer.body

    def _ask(self, method: str, path: str, **more: Any) -> Answer:
        try:
            return ask(method, self.url + path, ca_file=self.ca_file, token=self.token, **more)
        except UnreachedError as error:
            raise DeliveryError(str(error)) from error


def key_of(url: str, ca_file: Path | None) -> str | None:
    """Return what the server says is its key, not validated; None if it has none.

    Raises UnreachedError.
    """
    answer = ask("GET", url + KEY_PATH, ca_file=ca_file)
    key = _object(answer.body).get("key") if answer.status == 200 else None
    return key if isinstance(key, str) else None


def _problem(answer: Answer) -> DeliveryError:
    return DeliveryError(problem_of(answer.status), seconds_of(answer.headers.get("Retry-After")))


def _object(body: bytes) -> dict[str, Any]:
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}
