"""The files by which sync hands a release to the root service, and hears what became of it.

    INBOX/request.json, INBOX/SHA256.tar     sync's: what it has downloaded; untrusted
    INBOX/withdrawn                          sync's: nobody wants it any more
    OFFICE/outcome.json                      root's: how far it is; everybody may read it

Both folders are on the disk: a power cut loses neither. Root takes the request away before it acts.
"""

import contextlib
import json
import os
import stat
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any, Literal, get_args

from agent.files import atomic_file, sync_path
from agent.release.manifest import ReleaseError
from agent.release.signature import Signed
from agent.system.owner import acting_as_owner

INBOX, OFFICE = Path("/var/lib/blinklog/release"), Path("/var/lib/blinklog-release")
REQUEST, WITHDRAWN, OUTCOME = "request.json", "withdrawn", "outcome.json"
MOST_REQUEST, MOST_OUTCOME = 64 << 10, 8 << 10  # bytes
MOST_PROBLEM = 500  # characters

State = Literal["waiting", "downloading", "installing", "installed", "failed", "went_back"]
OVER = ("installed", "failed", "went_back")


@dataclass(frozen=True, slots=True)
class Progress:
    """How far an update is. `request` is the server's id of it, `code` and `problem` say why."""

    request: str
    state: State
    percent: int | None = None
    code: str | None = None
    problem: str | None = None

    @property
    def is_over(self) -> bool:
        """Whether nothing more happens."""
        return self.state in OVER


@dataclass(frozen=True, slots=True)
class Request:
    """A release that was downloaded, with what is needed to check it. All of it is untrusted."""

    id: str
    release: Signed
    rotations: tuple[Signed, ...]


def send(request: Request, inbox: Path) -> None:
    """Hand over a release whose archive is in the inbox and on the disk. Raises AgentError."""
    told = {
        "id": request.id,
        "release": asdict(request.release),
        "rotations": [asdict(each) for each in request.rotations],
    }
    (inbox / WITHDRAWN).unlink(missing_ok=True)
    with atomic_file(inbox / REQUEST, ".json") as new:
        new.write_text(json.dumps(told), "utf-8")


def is_waiting(inbox: Path) -> bool:
    """Return whether root has not taken the request yet."""
    return (inbox / REQUEST).exists()


def withdraw(inbox: Path) -> None:
    """Remove a request that root has not taken; ask root to drop one that it has not begun."""
    with contextlib.suppress(OSError):
        (inbox / REQUEST).unlink(missing_ok=True)
        if inbox.exists():
            (inbox / WITHDRAWN).touch(mode=0o600)


def is_withdrawn(inbox: Path) -> bool:
    """Return whether sync wants a request dropped that root has taken."""
    with acting_as_owner(inbox):
        return os.path.lexists(inbox / WITHDRAWN)


def take(inbox: Path) -> Request | None:
    """Remove the request and return it, or None if there is none that can be used.

    The folder is another user's, who could put anything there, or a link in its place: root looks
    as the owner of the folder that it is in, and nothing but a small file is read. The name is
    removed whatever it is.
    """
    path = inbox / REQUEST
    with acting_as_owner(inbox):
        found = _object(_read(path, MOST_REQUEST))
        with contextlib.suppress(OSError):
            path.unlink()
            sync_path(inbox)
    release, rotations = signed(found.get("release")), all_signed(found.get("rotations"))
    request_id = found.get("id")
    if not isinstance(request_id, str) or len(request_id) > 64 or release is None:
        return None
    return None if rotations is None else Request(request_id, release, rotations)


def open_archive(inbox: Path, sha256: str) -> IO[bytes]:
    """Open the archive as the inbox's owner. Raises ReleaseError unless it is a plain file."""
    path = inbox / f"{sha256}.tar"
    with acting_as_owner(inbox):
        file = _open(path)
    if file is None:
        raise ReleaseError("archive", f"{path}: expected a file")
    return file


def discard(inbox: Path, keep: str | None = None) -> None:
    """Remove downloads, without that of the archive `keep`, as the folder's owner."""
    with acting_as_owner(inbox), contextlib.suppress(OSError):
        for each in inbox.iterdir():
            if each.suffix in (".tar", ".part") and each.stem != keep:
                each.unlink()


def write_outcome(progress: Progress, office: Path) -> None:
    """Replace the outcome; it is on the disk then. Raises AgentError."""
    told = asdict(progress) | {"problem": progress.problem and progress.problem[:MOST_PROBLEM]}
    with atomic_file(office / OUTCOME, ".json") as new:
        new.write_text(json.dumps(told), "utf-8")
        new.chmod(0o644)


def read_outcome(office: Path = OFFICE) -> Progress | None:
    """Return the outcome, or None if there is none that can be read."""
    found = _object(_read(office / OUTCOME, MOST_OUTCOME))
    if found.get("state") not in get_args(State) or not isinstance(found.get("request"), str):
        return None
    code, problem = found.get("code"), found.get("problem")
    return Progress(
        found["request"],
        found["state"],
        None,
        code if isinstance(code, str) else None,
        problem if isinstance(problem, str) else None,
    )


def signed(found: object) -> Signed | None:
    """Read a text with its signature; None if it is none."""
    if not isinstance(found, dict):
        return None
    text, signature = found.get("text"), found.get("signature")
    if not isinstance(text, str) or not isinstance(signature, str):
        return None
    return Signed(text, signature)


def all_signed(found: object) -> tuple[Signed, ...] | None:
    """Read a list of texts with their signatures; None if one of them is none."""
    each: Sequence[object] = found if isinstance(found, list) else ()
    read = [signed(one) for one in each]
    return tuple(one for one in read if one) if all(read) else None


def _open(path: Path) -> IO[bytes] | None:
    """Open a file that has one name; None if it is anything else."""
    try:
        file = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None
    found = os.fstat(file)
    if not stat.S_ISREG(found.st_mode) or found.st_nlink != 1:
        os.close(file)
        return None
    return os.fdopen(file, "rb")


def _read(path: Path, most: int) -> bytes:
    file = _open(path)
    if file is None:
        return b""
    with file:
        content = file.read(most + 1)
    return content if len(content) <= most else b""


def _object(content: bytes) -> dict[str, Any]:
    try:
        value = json.loads(content)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}
