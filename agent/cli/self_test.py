"""`blink-agent self-test`: what the installer asks of a release before it lets it take over.

Not whether the device is well (that is `doctor`), but whether this release can do its work on it:
a session is measured and kept, and what the release before has written is read.
"""

import contextlib
import importlib
import sqlite3
import tempfile
import time
from pathlib import Path

import numpy as np

from agent.cli import measuring
from agent.clock import Clock
from agent.config import AgentConfig
from agent.errors import AgentError, ModelError, StoreError
from agent.face import models
from agent.face.mesh import AttentionMesh, load_models
from agent.face.model_files import read_manifest
from agent.health import check_camera
from agent.measure.document import Document
from agent.measure.recording import Recording
from agent.records import Frame
from agent.store.store import Store

# Sessions are measured without them; a device without them neither starts nor delivers any.
NEEDED = ("agent.controls.panel", "gpiozero", "agent.transport.http", "agent.transport.mqtt")
FRAMES = 3


def run(settings: AgentConfig) -> None:
    """Says what it finds. Raises AgentError for what does not work."""
    print(f"configuration: {settings.file if settings.file.exists() else 'all defaults'}")
    _check_imports()
    check_models(settings)
    document = _measured(settings)
    with tempfile.TemporaryDirectory(prefix="blinklog-self-test-") as folder:
        _check_store(Path(folder) / "new.sqlite3", document)
        print("a new store: keeps a session")
        _check_old_store(settings.store_path, Path(folder) / "copy.sqlite3")


def _check_imports() -> None:
    for name in NEEDED:
        try:
            importlib.import_module(name)
        except Exception as error:  # whatever a library throws, it is missing
            raise AgentError(f"expected to import {name}: {error}") from error


def check_models(settings: AgentConfig) -> None:
    """Each has the pinned hash, and gives numbers for a grey picture."""
    cache = settings.model.cache or models.default_cache()
    for name in read_manifest():
        interpreter = models.load(name, cache)
        begun = time.perf_counter()
        interpreter.invoke()
        took_ms = 1000 * (time.perf_counter() - begun)
        for detail in interpreter.get_output_details():
            if not np.isfinite(interpreter.tensor(detail["index"])()).all():
                raise ModelError(f"{name}: expected numbers, found NaN or infinity")
        print(f"{name}: an inference took {took_ms:.1f} ms")
    look_ms, glance_ms = check_camera.times_ms(AttentionMesh(load_models(cache)), rounds=3)
    print(f"a look at the face takes {look_ms:.1f} ms, at the eyes alone {glance_ms:.1f} ms")


def _measured(settings: AgentConfig) -> Document:
    """A session of nothing but grey: no face, and a document that says so."""
    parts = {"source": "self-test", "width": 640, "height": 480}
    recording = Recording(measuring.tracker(settings), Clock(), camera=parts, agent={})
    for number in range(FRAMES):
        recording.add(Frame(number / 30, np.full((480, 640, 3), 128, np.uint8)))
    return recording.finish("command")


def _check_store(path: Path, document: Document) -> None:
    with contextlib.closing(Store(path)) as store:
        store.put(document)
    with contextlib.closing(Store(path)) as store:
        if store.document(document["session_id"]) != document:
            raise StoreError("expected the session that was put into a new store, found another")


def _check_old_store(path: Path, copy: Path) -> None:
    """On a copy: this release may have to rewrite it, and may yet be refused."""
    if not path.exists():
        print("the device's store: none yet")
        return
    try:
        with (
            contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as old,
            contextlib.closing(sqlite3.connect(copy)) as new,
        ):
            old.backup(new)
    except sqlite3.Error as error:
        raise StoreError(f"{path}: can't be copied: {error}") from error
    with contextlib.closing(Store(copy)) as store:
        print(f"the device's store: {store.counts()['sessions']} sessions can be read")
