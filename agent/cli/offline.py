"""Offline commands: measure videos and recorded traces, and manage the models."""

import argparse
import contextlib
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agent import config
from agent.cli import delivery
from agent.cli.delivery import AddCommand
from agent.clock import Clock
from agent.config import AgentConfig
from agent.face import models
from agent.offline.trace import new_trace, read_trace

if TYPE_CHECKING:
    from agent.offline.replay import Rows

FPS_HELP = "frame rate of a raw stream (.h264, .mjpeg), which has no timestamps"
JSON_HELP = "print frames, fps, ends_early, document and blinks (null if they are not counted)"
OVERLAY_HELP = "write the video with lids and measurements drawn in, without sound"
PLOT_HELP = "plot EAR, levels, blinks and gaps over time"
TRACE_FPS = 30.0
"""Assumed for a trace without times if no rate is given; `analyse` then prints a warning."""


def add_commands(command: AddCommand) -> None:
    """Add the commands of this file."""
    video = command("replay", _replay, "measure a video file")
    video.add_argument("video", type=Path)
    video.add_argument("--fps", type=float, metavar="N", help=FPS_HELP)
    video.add_argument("--json", action="store_true", help=JSON_HELP)
    video.add_argument("--trace", type=Path, metavar="FILE.csv", help="write the EAR of each frame")
    video.add_argument("--overlay", type=Path, metavar="OUT.mp4", help=OVERLAY_HELP)
    video.add_argument("--plot", type=Path, metavar="OUT.png", help=PLOT_HELP)
    video.add_argument(
        "--deliver",
        action="store_true",
        help="store the session and deliver it; if that fails now, sync delivers it later",
    )
    trace = command("analyse", _analyse, "find the blinks in a recorded trace")
    trace.add_argument("trace", type=Path, metavar="FILE.csv")
    trace.add_argument(
        "--fps",
        type=float,
        metavar="N",
        help=f"frame rate of a trace without time_s; default {TRACE_FPS:g}",
    )
    trace.add_argument("--plot", type=Path, metavar="OUT.png", help=PLOT_HELP)
    trace.add_argument("--json", action="store_true", help="print JSON")
    files = command("models", _models, "download or test the TFLite models")
    files.add_argument("action", choices=["fetch", "check"], help="download them, or test them")


def _replay(options: argparse.Namespace) -> int:
    from agent.capture import ReplayCamera
    from agent.cli import measuring
    from agent.offline.pictures import pictures
    from agent.offline.replay import replay

    settings = config.load(options.config)
    video, clock = ReplayCamera(options.video, rate=options.fps), Clock()
    with contextlib.ExitStack() as stack:
        drawn = stack.enter_context(pictures(options.video, options.plot, options.overlay))
        recording = measuring.recording(
            drawn.watching(measuring.tracker(settings)), clock, video, None
        )
        trace = stack.enter_context(new_trace(options.trace, options.video))
        replayed = replay(video, recording, trace)
        drawn.draw(replayed.evidence, video)
    if replayed.ends_early:
        _warn(f"{options.video}: ends early: {replayed.ends_early}")
    if options.json:
        print(json.dumps(replayed.as_json(), indent=2))
    else:
        metrics = replayed.document["metrics"]
        print(f"{replayed.frames} frames at {replayed.fps:.2f} per second")
        _print_blinks(replayed.blinks, replayed.document["quality"])
        for name, value in metrics.items():
            print(f"{name:30} {delivery.plain(value)}")
    return _deliver(settings, replayed.document) if options.deliver else 0


def _deliver(settings: AgentConfig, document: dict[str, Any]) -> int:
    transports = delivery.transports(settings)
    with delivery.open_store(settings) as store:
        store.put(document)
        with delivery.open_sync(store, transports) as sync:
            if sync.once(settings.server.timeout_s):
                return 0
        _warn(f"stored but not delivered yet: {delivery.delivery_report(store)}")
    return 1


def _analyse(options: argparse.Namespace) -> None:
    from agent.offline.pictures import pictures
    from agent.offline.replay import analyse

    with pictures(options.trace, options.plot) as drawn:
        trace = read_trace(options.trace, options.fps or TRACE_FPS)
        blinks, evidence = analyse(trace)
        drawn.draw(evidence)
    quality = evidence.session.quality
    assumed = TRACE_FPS if options.fps is None and not trace.timed else None
    if assumed:
        _warn(f"{options.trace}: no time_s: assuming {assumed:g} frames per second (--fps N)")
    if options.json:
        answer = {
            "counted": blinks is not None,
            "blinks": blinks or [],
            "quality": quality,
            "assumed_fps": assumed,
        }
        print(json.dumps(answer, indent=2))
    else:
        _print_blinks(blinks, quality)


def _print_blinks(blinks: "Rows | None", quality: Sequence[str]) -> None:
    if blinks is None:
        print(f"blinks not counted: {', '.join(quality)}")
        return
    print(f"{len(blinks)} blinks")
    for row in blinks:
        kind = "complete" if row["complete"] else "partial"
        length = "" if row["duration_ms"] is None else f"{row['duration_ms']} ms  "
        print(
            f"  frames {row['first_frame']}-{row['last_frame']}  at {row['at_s']:.2f} s  "
            f"{length}{kind}"
        )
    if quality:
        print(f"quality: {', '.join(quality)}")


def _warn(message: str) -> None:
    print(f"blink-agent: {message}", file=sys.stderr)


def _models(options: argparse.Namespace) -> None:
    from agent.cli.self_test import check_models

    settings = config.load(options.config)
    if options.action == "check":
        check_models(settings)
        return
    for path in models.fetch(settings.model.cache or models.default_cache()):
        print(path)
