"""Session documents for the tests of delivery."""

import json
import uuid
from pathlib import Path
from typing import Any

GOLDEN = Path(__file__).resolve().parent.parent / "golden"


def golden(name: str) -> dict[str, Any]:
    """A golden document: started, checkpoint, final, interrupted, no_face."""
    document: dict[str, Any] = json.loads((GOLDEN / f"{name}.json").read_text())
    return document


def document(revision: int = 1, session_id: str | None = None, **changes: Any) -> dict[str, Any]:
    """A document of a session of its own, ended unless revision 1."""
    name = "started" if revision == 1 else "final"
    identity = {"session_id": session_id or str(uuid.uuid4()), "revision": revision}
    return {**golden(name), **identity, **changes}


def ids(documents: list[dict[str, Any]]) -> list[str]:
    """The ids of the sessions, in order."""
    return [each["session_id"] for each in documents]
