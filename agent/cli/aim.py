"""`blink-agent aim`: show in a terminal how well the camera sees the eyes.

While `watch` is running it has the camera, so it aims and this command shows its views.
"""

import argparse
import itertools
import json
import shutil
import sys
import time
import uuid
from collections.abc import Generator
from datetime import timedelta
from typing import Any

from agent import config
from agent.cli import delivery, measuring
from agent.clock import Clock
from agent.config import AgentConfig
from agent.measure.aim import Aim
from agent.measure.document import iso_utc
from agent.records import COMMAND_S, Document
from agent.store.store import Store
from agent.system.process_lock import lock_owner
from agent.system.view_file import ViewFile, view_path
from agent.watch.aiming import REPEAT_S, SHOWN_S
from agent.watch.loop import on_exit

FIRST_S = 15.0
"""How long to wait for the first view of `watch`: a camera's first start takes seconds."""

COLUMNS, ROWS = 56, 18
"""Largest drawing, in characters of two by four dots."""

DOTS = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))
"""The bits of a braille character (U+2800), by row and column of the dot."""


def show(options: argparse.Namespace) -> int:
    """Show views until Ctrl-C, the end of the time, or the end of the video. 1 if none came."""
    settings = config.load(options.config)
    running = lock_owner(settings.store_path, "watch") is not None
    views = _views_of_watch(settings) if running else _own_views(settings)
    until_s = time.monotonic() + options.seconds
    last = None
    try:
        for last in views:
            print(json.dumps(last) if options.json else _screen(last), flush=True)
            if time.monotonic() >= until_s:
                break
    finally:
        views.close()
    if last is None:
        print("blink-agent aim: no view arrived: is a session running?", file=sys.stderr)
    return int(last is None)


def _own_views(settings: AgentConfig) -> Generator[Document]:
    """Aim with the camera of this process. Raises CameraError and ModelError."""
    tracker, aim, shown_s = measuring.tracker(settings), Aim(), 0.0
    camera = measuring.camera(settings)
    with on_exit(camera.close):
        camera.start()
        with on_exit(camera.stop):
            while (frame := camera.read(settings.camera.timeout_s)) is not None:
                view = aim.add(frame, tracker.find(frame))
                if frame.time_s - shown_s >= SHOWN_S or not shown_s:
                    shown_s = frame.time_s
                    yield view.as_json()


def _views_of_watch(settings: AgentConfig) -> Generator[Document]:
    """Have `watch` aim, and read its views. They end when it ends aiming."""
    file = ViewFile(view_path(settings.store_path))
    asked_s, number, last_s = -REPEAT_S, None, time.monotonic()
    with delivery.open_store(settings) as store:
        try:
            while time.monotonic() - last_s < (FIRST_S if number is None else 2.0):
                if time.monotonic() - asked_s >= REPEAT_S:
                    asked_s = time.monotonic()
                    _command(store, "aim")
                view = file.read()
                if view is not None and view.get("number") != number:
                    number, last_s = view.get("number"), time.monotonic()
                    yield view
                time.sleep(SHOWN_S / 4)
        finally:
            if number is not None and file.read() is not None:
                _command(store, "stop")


def _command(store: Store, name: str) -> None:
    expires_at = iso_utc(Clock().now() + timedelta(seconds=COMMAND_S))
    store.add_command({"id": str(uuid.uuid4()), "command": name, "expires_at": expires_at})


def _screen(view: Document) -> str:
    """Return the view as text, with codes that clear a terminal's screen."""
    start = "\x1b[H\x1b[J" if sys.stdout.isatty() else ""
    size = shutil.get_terminal_size((80, 24))
    lines = [view["sentence"], "", _numbers(view)]
    if sys.stdout.isatty():
        lines += ["", *_drawing(view, min(COLUMNS, size.columns), min(ROWS, size.lines - 6))]
    return start + "\n".join(lines)


def _numbers(view: Document) -> str:
    def told(name: str, form: str, factor: float = 1) -> str:
        value = view[name]
        return "-" if value is None else format(value * factor, form)

    blink = "  * blink *" if view["blinked"] else ""
    return (
        f"eyes {told('apart_px', '.0f')} px apart   sharpness {told('sharpness', '.2f')}   "
        f"light {told('light', '.0f')}   turned {told('turn_deg', '+.0f')} degrees   "
        f"{told('fps', '.0f')} frames/s\n"
        f"left eye {told('left', '.0f', 100)} % open   right eye {told('right', '.0f', 100)} %   "
        f"{view['blinks']} blinks{blink}"
    )


def _drawing(view: Document, columns: int, rows: int) -> list[str]:
    """Draw the lids and the outline in braille characters. Shapes may go beyond the frame."""
    cells = [[0] * columns for _ in range(max(0, rows))]
    for shape in (view["outline"], *view["lids"]):
        closed: list[Any] = [*shape, *shape[:1]]
        for (x0, y0), (x1, y1) in itertools.pairwise(closed):
            steps = max(1, round(max(abs(x1 - x0) * columns * 2, abs(y1 - y0) * rows * 4)))
            for step in range(steps + 1):
                x = int((x0 + (x1 - x0) * step / steps) * columns * 2)
                y = int((y0 + (y1 - y0) * step / steps) * rows * 4)
                if 0 <= x < columns * 2 and 0 <= y < rows * 4:
                    cells[y // 4][x // 2] |= DOTS[y % 4][x % 2]
    return ["".join(chr(0x2800 + cell) for cell in row) for row in cells]
