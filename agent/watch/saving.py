"""Save documents and notes, and survive a store that can't be written."""

import logging
from typing import Literal

from agent.errors import StoreBusyError, StoreError
from agent.records import Document, Store

log = logging.getLogger(__name__)

Kept = Literal["stored", "spooled", "unsaved"]
"""Where a document is now: in the store, in a file beside it, or in memory alone."""


def save(store: Store, document: Document) -> bool:
    """Write a document as `write` does. Return whether it was saved; errors are only logged."""
    try:
        return write(store, document)
    except OSError as error:
        _log(error)
        return False


def begin(store: Store, document: Document) -> Kept:
    """Write the first document of a session. If it is "unsaved", the session must not begin.

    If the store is only locked, the session may begin: its document is written beside the store.
    """
    try:
        return "stored" if write(store, document) else "unsaved"
    except StoreBusyError as error:
        _log(error)
        return "spooled" if _spool(store, document) == "spooled" else "unsaved"
    except OSError as error:
        _log(error)
        return "unsaved"


def keep(store: Store, document: Document) -> Kept:
    """Write a final document, beside the store if the store can't be written."""
    try:
        write(store, document)
    except OSError as error:
        _log(error)
        return _spool(store, document)
    return "stored"  # or the store has a newer revision: there is nothing to add


def note(store: Store, state: Document, key: str = "watch") -> None:
    """Record the state for `status`. Errors are only logged: they must not end a session."""
    try:
        store.note(key, state)
    except StoreError as error:
        log.warning("can't save the state that `status` shows: %s", error)


def write(store: Store, document: Document) -> bool:
    """Write a document; return False if the store has a newer revision. Raises OSError.

    On a full disk, delivered sessions are deleted to make space, but only for a session that has
    already begun. A new session needs the reserve, which needs free space on the disk, and deleting
    sessions frees space only inside the store's file.
    """
    try:
        return _put(store, document)
    except StoreBusyError:
        raise  # another attempt would only wait as long again
    except StoreError as error:
        if document["revision"] == 1:
            raise
        _log(error)
    if store.problem() is not None:  # other errors are no reason to delete sessions
        store.prune(0)
    return _put(store, document)


def _put(store: Store, document: Document) -> bool:
    stored = store.put(document)
    if not stored:
        log.warning("the store has a newer revision of session %s", document["session_id"])
    return stored


def _spool(store: Store, document: Document) -> Kept:
    """Set a document down beside the store. "stored": the store has its revision or a newer one."""
    try:
        if not store.spool(document):
            return "stored"
    except OSError as error:
        log.error("it can't be set down beside the store either: %s", error)
        return "unsaved"
    log.warning("session %s was set down beside the store", document["session_id"])
    return "spooled"


def _log(error: OSError) -> None:
    log.error("the store can't save a session: %s", error)
