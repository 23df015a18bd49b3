"""Hand a code from `watch`, which has no network, to the root service that joins and enrols.

The request and the answer are files below /run, which is in memory. `watch` owns the folder of the
request, which only it and root may enter; root owns the folder of the answer. The request holds a
secret, so the root service removes it before using it.
"""

import contextlib
import json
import os
import secrets
import shutil
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from agent.system.owner import acting_as_owner

REQUESTS = Path("/run/blinklog-watch")
ANSWERS = Path("/run/blinklog-join")
REQUEST, ANSWER = "request.json", "answer.json"

LONGEST_REQUEST, LONGEST_ANSWER = 8192, 8192  # bytes
LONGEST_PROBLEM = 500  # characters

Outcome = Literal["working", "joined", "enrolled", "offline", "failed"]
"""`offline`: there is no network to reach a server by. `failed`: `problem` says why."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of a request. `source` is `camera` or `boot file`, `at` an ISO time."""

    id: str
    outcome: Outcome
    problem: str | None = None
    source: str = "camera"
    at: str | None = None


class Requests:
    """`watch`'s side. `folder` is its runtime directory."""

    def __init__(self, folder: Path, answers: Path = ANSWERS) -> None:
        self._request = folder / REQUEST
        self._answers = answers

    def send(self, text: str) -> str:
        """Hand over the text of a code. Return the id under which it is answered.

        Raises OSError.
        """
        request_id = secrets.token_hex(8)
        new = self._request.with_name(f".{REQUEST}")
        new.unlink(missing_ok=True)
        file = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(file, "w", encoding="utf-8") as out:
            json.dump({"id": request_id, "text": text}, out)
        new.replace(self._request)
        return request_id

    def withdraw(self) -> None:
        """Remove a request that nobody has taken."""
        for name in (REQUEST, f".{REQUEST}"):
            with contextlib.suppress(OSError):
                self._request.with_name(name).unlink(missing_ok=True)

    def answer(self, request_id: str) -> Answer | None:
        """Return the newest answer to this request, or None if there is none yet."""
        found = read_answer(self._answers)
        return found if found is not None and found.id == request_id else None


def read_answer(folder: Path = ANSWERS) -> Answer | None:
    """Return the newest answer, or None if there is none that can be read."""
    found = _object(_read(folder / ANSWER, LONGEST_ANSWER))
    problem, at = found.get("problem"), found.get("at")
    if found.get("outcome") not in get_args(Outcome):
        return None
    return Answer(
        str(found.get("id")),
        found["outcome"],
        None if problem is None else str(problem)[:LONGEST_PROBLEM],
        str(found.get("source", "camera")),
        None if at is None else str(at),
    )


@dataclass(frozen=True, slots=True)
class Request:
    """A request that was taken."""

    id: str
    text: str


def take_request(folder: Path = REQUESTS) -> Request | None:
    """Remove the request and return it, or None if there is none that can be used.

    The folder belongs to another user, who could put anything there. So root reads it as that user,
    follows no links, and reads only a small file. Whatever has the name is removed.
    """
    path = folder / REQUEST
    with acting_as_owner(path):
        found = _object(_read(path, LONGEST_REQUEST))
        _remove(path)
    request_id, text = found.get("id"), found.get("text")
    if not isinstance(request_id, str) or not isinstance(text, str) or len(request_id) > 64:
        return None
    return Request(request_id, text)


def _remove(path: Path) -> None:
    try:
        path.unlink()
    except IsADirectoryError:  # otherwise it would start the service again and again
        shutil.rmtree(path, ignore_errors=True)
    except (FileNotFoundError, NotADirectoryError):
        return


def write_answer(answer: Answer, folder: Path = ANSWERS) -> None:
    """Replace the answer. Everybody may read it, as it holds no secret. Raises OSError."""
    told: Mapping[str, Any] = {
        "id": answer.id,
        "outcome": answer.outcome,
        "problem": answer.problem and answer.problem[:LONGEST_PROBLEM],
        "source": answer.source,
        "at": answer.at,
    }
    new = folder / f".{ANSWER}"
    new.write_text(json.dumps(told), "utf-8")
    new.chmod(0o644)
    new.replace(folder / ANSWER)


def _read(path: Path, most: int) -> bytes:
    """Return the content of a file with one name and at most `most` bytes, or nothing."""
    try:
        file = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return b""
    try:
        found = os.fstat(file)
        if not stat.S_ISREG(found.st_mode) or found.st_nlink != 1 or found.st_size > most:
            return b""
        return os.read(file, most)
    finally:
        os.close(file)


def _object(content: bytes) -> dict[str, Any]:
    try:
        value = json.loads(content)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}
