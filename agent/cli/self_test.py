"""`blink-agent self-test`: the installer runs it before it activates a release.

It does not check whether the device is healthy (`doctor` does), but whether this release works on
it: it measures and stores a session, and reads the store of the previous release.
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
from agent.measure.recording import Recording
from agent.records import Document, Frame
from agent.store.store import Store

# Measuring works without these, but starting and delivering sessions does not.
NEEDED = ("agent.controls.panel", "gpiozero", "agent.transport.http", "agent.transport.mqtt")
FRAMES = 3


def run(settings: AgentConfig) -> None:
    """Run all tests and print the results. Raises AgentError if one fails."""
    print(f"configuration: {settings.file if settings.file.exists() else 'all defaults'}")
    _check_imports()
    check_models(settings)
    document = _measured(settings)
    with tempfile.TemporaryDirectory(prefix="blinklog-self-test-") as folder:
        _check_store(Path(folder) / "new.sqlite3", document)
        print("a new store: saves a session")
        _check_old_store(settings.store_path, Path(folder) / "copy.sqlite3")


def _check_imports() -> None:
    for name in NEEDED:
        try:
            importlib.import_module(name)
        except Exception as error:  # any error means that the library can't be used
            raise AgentError(f"can't import {name}: {error}") from error


def check_models(settings: AgentConfig) -> None:
    """Check the hash of each model, and that it outputs finite numbers for an empty picture."""
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
    print(f"measuring takes {look_ms:.1f} ms for a whole face, {glance_ms:.1f} ms for the eyes")


def _measured(settings: AgentConfig) -> Document:
    """Measure a session of grey frames. Its document says that there was no face."""
    camera = {"source": "self-test", "width": 640, "height": 480}
    recording = Recording(measuring.tracker(settings), Clock(), camera=camera, agent={})
    for number in range(FRAMES):
        recording.add(Frame(number / 30, np.full((480, 640, 3), 128, np.uint8)))
    return recording.finish("command")


def _check_store(path: Path, document: Document) -> None:
    with contextlib.closing(Store(path)) as store:
        store.put(document)
    with contextlib.closing(Store(path)) as store:
        if store.document(document["session_id"]) != document:
            raise StoreError("a new store did not return the session that was saved in it")


def _check_old_store(path: Path, copy: Path) -> None:
    """Read a copy of the store: this release may have to migrate it, and may yet be rejected."""
    if not path.exists():
        print("the device's store: does not exist yet")
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
