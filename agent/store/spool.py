"""Documents that the store could not take, each in a file of its own beside it.

Such a file outlives the process and a power cut. It is deleted once the store has its document, so
a document may be taken in twice: the revision rule makes the second time a no-op.
"""

import contextlib
import json
import logging
from collections.abc import Iterator
from pathlib import Path

from agent.errors import AgentError, StoreError
from agent.files import atomic_file
from agent.records import Document
from agent.store.rows import document_of, parsed, row_of

log = logging.getLogger(__name__)

SUFFIX = ".json"


class Spool:
    """The files beside the store at `store`: `NAME.SESSION.json`, with document and checksum."""

    def __init__(self, store: Path) -> None:
        self._store = store

    def add(self, document: Document) -> None:
        """Write a document to the disk, in place of an earlier one of its session.

        Raises StoreError if it can't be written, ValueError if it is invalid.
        """
        row = row_of(document)
        path = self._store.with_name(f"{self._store.name}.{row['session_id']}{SUFFIX}")
        try:
            with atomic_file(path, SUFFIX) as new:
                new.chmod(0o600)
                new.write_text(json.dumps({key: row[key] for key in ("document", "checksum")}))
        except AgentError as error:
            raise StoreError(str(error)) from error

    def documents(self) -> Iterator[tuple[Path, Document]]:
        """Yield each document with its file. A damaged file is renamed and reported."""
        names = f"{self._store.name}.*{SUFFIX}"
        for unfinished in self._store.parent.glob(f".{names}"):  # of a power cut, see `atomic_file`
            unfinished.unlink(missing_ok=True)
        for path in sorted(self._store.parent.glob(names)):
            document = _read(path)
            if document is not None:
                yield path, document
                continue
            log.error("%s is damaged: renamed", path)
            with contextlib.suppress(OSError):
                path.rename(path.with_name(path.name + ".damaged"))


def _read(path: Path) -> Document | None:
    try:
        return document_of(parsed(path.read_text()))
    except (OSError, ValueError, KeyError, TypeError):
        return None
