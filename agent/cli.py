"""blink-agent: the one place where the parts are joined."""

import argparse
import contextlib
import json
import logging
import signal
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

from agent import __version__, config, models, systemd
from agent.capture import Camera, ReplayCamera, open_camera
from agent.clock import Clock
from agent.config import AgentConfig
from agent.controls import open_controls
from agent.document import iso_utc
from agent.errors import AgentError, ConfigError, StoreError
from agent.landmarks import FaceTracker
from agent.pictures import pictures
from agent.recording import Recording, Tracker
from agent.replay import analyse, replay
from agent.store import Store
from agent.sync import Sync, Transport
from agent.trace import TraceWriter, read_trace
from agent.watch import Limits, Watch

COMMAND_LIFE = timedelta(seconds=30)  # a start that comes later than this surprises somebody
OVERLAY_HELP = "write the video with the lids and what was measured drawn in; without sound"
PLOT_HELP = "draw EAR, levels, blinks and gaps over time"
ONCE_S = 60.0  # the longest that `sync --once` tries


def main(arguments: list[str] | None = None) -> int:
    """Runs one command; returns its exit status."""
    options = _parser().parse_args(arguments)
    logging.basicConfig(
        level=logging.DEBUG if options.verbose else logging.INFO, format="%(levelname)s %(message)s"
    )
    try:
        return int(options.run(options) or 0)
    except AgentError as error:
        print(f"blink-agent: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="blink-agent", description="Measures blinks on the device and delivers sessions."
    )
    parser.add_argument("--version", action="version", version=__version__)
    parser.add_argument("--config", type=Path, help=f"default {config.DEFAULT_FILE}")
    parser.add_argument("--verbose", action="store_true", help="log in detail")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(
        name: str, run: Callable[[argparse.Namespace], int | None], about: str
    ) -> argparse.ArgumentParser:
        added = commands.add_parser(name, help=about, description=about)
        added.set_defaults(run=run)
        return added

    command("watch", _watch, "wait for the button and measure sessions (a service)")
    sync = command("sync", _sync, "deliver what is pending (a service)")
    sync.add_argument("--once", action="store_true", help="deliver what is there, then exit")
    command("start", _start, "start a session on this device")
    command("stop", _stop, "end the session on this device")
    status = command("status", _status, "what the device is doing, and what is pending and why")
    status.add_argument("--json", action="store_true")
    sessions = command("sessions", _sessions, "the sessions in the store, newest first")
    sessions.add_argument("--json", action="store_true")
    retry = command("retry", _retry, "send a refused session again")
    retry.add_argument("session_id", metavar="ID")

    video = command("replay", _replay, "measure a video file")
    video.add_argument("video", type=Path)
    video.add_argument("--json", action="store_true", help="frames, fps, document and blinks")
    video.add_argument("--trace", type=Path, metavar="FILE.csv", help="write the EAR of each frame")
    video.add_argument("--overlay", type=Path, metavar="OUT.mp4", help=OVERLAY_HELP)
    video.add_argument("--plot", type=Path, metavar="OUT.png", help=PLOT_HELP)
    video.add_argument(
        "--deliver",
        action="store_true",
        help="keep it as a session in the store and deliver it; what can't go now goes with sync",
    )
    trace = command("analyse", _analyse, "find the blinks in a recorded trace")
    trace.add_argument("trace", type=Path, metavar="FILE.csv")
    trace.add_argument("--fps", type=float, default=30.0, help="for a trace without time_s")
    trace.add_argument("--plot", type=Path, metavar="OUT.png", help=PLOT_HELP)
    trace.add_argument("--json", action="store_true")

    files = command("models", _models, "the TFLite models")
    files.add_argument("action", choices=["fetch", "check"], help="fetch them, or try them")
    check = command("config", _config, "the configuration as it is understood")
    check.add_argument("action", choices=["check"])
    return parser


# The services


def _watch(options: argparse.Namespace) -> None:
    settings = config.load(options.config)
    clock, stopping = Clock(), _stopping()
    with _open_store(settings) as store, contextlib.closing(_camera(settings)) as camera:
        tracker = _tracker(settings)
        controls = settings.controls
        with contextlib.closing(
            open_controls(
                controls.pins, controls.button_gpio, controls.led_gpio, controls.long_press_s
            )
        ) as panel:
            Watch(
                camera,
                lambda session_id: _recording(tracker, clock, camera, session_id),
                store,
                panel,
                clock,
                Limits(
                    session_s=60 * settings.session.limit_minutes,
                    checkpoint_s=settings.session.checkpoint_s,
                    frame_s=settings.camera.timeout_s,
                    keep_sessions=settings.store.keep_sessions,
                ),
            ).run(stopping)


def _sync(options: argparse.Namespace) -> int:
    settings = config.load(options.config)
    with _open_store(settings) as store:
        with contextlib.closing(_delivery(settings, store, lasting=not options.once)) as sync:
            if not options.once:
                systemd.ready()
                sync.run(_stopping())
                systemd.stopping()
                return 0
            if sync.once(ONCE_S):
                return 0
        print(_delivery_report(store), file=sys.stderr)
        return 1


def _stopping() -> threading.Event:
    """Set by SIGTERM and SIGINT."""
    event = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: event.set())
    return event


# By command


def _start(options: argparse.Namespace) -> None:
    _command(options, "start")


def _stop(options: argparse.Namespace) -> None:
    _command(options, "stop")


def _command(options: argparse.Namespace, name: str) -> None:
    clock = Clock()
    with _open_store(config.load(options.config)) as store:
        store.add_command(
            {
                "id": str(uuid.uuid4()),
                "command": name,
                "expires_at": iso_utc(clock.now() + COMMAND_LIFE),
            }
        )


def _status(options: argparse.Namespace) -> int:
    """A store that can't be opened is what one wants to be told, too."""
    settings = config.load(options.config)
    report: dict[str, Any] = {"version": __version__}
    report |= dict.fromkeys(("watch", "delivery", "store", "sessions"))
    refused = {}
    try:
        with _open_store(settings) as store:
            report |= {name: store.noted(name) for name in ("watch", "delivery", "store")}
            report["sessions"] = store.counts()
            stored = store.sessions(1000)
            refused = {each.session_id: each.parked_reason for each in stored if each.parked_reason}
    except StoreError as error:
        report["store"] = {"problem": str(error)}
    if options.json:
        report["parked"] = [{"id": each, "reason": reason} for each, reason in refused.items()]
        print(json.dumps(report, indent=2))
    else:
        for name, value in report.items():
            print(f"{name:9} {_plain(value)}")
        for each, reason in refused.items():
            print(f"refused   {each}: {reason}")
    return int(report["sessions"] is None)


def _plain(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {_plain(each)}" for key, each in value.items())
    return "-" if value is None else str(value)


def _sessions(options: argparse.Namespace) -> None:
    with _open_store(config.load(options.config)) as store:
        found = store.sessions(1000)
    if options.json:
        print(json.dumps([each.document for each in found], indent=2))
        return
    for each in found:
        metrics, state = each.document["metrics"], each.document["state"]
        sent = "refused" if each.parked_reason else "delivered" if each.delivered else "pending"
        blinks = metrics["blink_count"]
        print(
            f"{each.document['started_at']}  {state:11} {metrics['duration_s'] or 0:7.1f} s "
            f"{'-' if blinks is None else blinks:>5} blinks  {sent:9} {each.session_id}"
        )


def _retry(options: argparse.Namespace) -> None:
    with _open_store(config.load(options.config)) as store:
        if not store.retry(options.session_id):
            raise AgentError(f"expected a refused session's id, found {options.session_id!r}")


# Offline


def _replay(options: argparse.Namespace) -> int:
    settings = config.load(options.config)
    video, clock = ReplayCamera(options.video), Clock()
    with contextlib.ExitStack() as stack:
        drawn = stack.enter_context(pictures(options.video, options.plot, options.overlay))
        recording = _recording(drawn.watching(_tracker(settings)), clock, video, None)
        trace = None
        if options.trace is not None:
            try:
                file = options.trace.open("w", newline="")
            except OSError as error:
                raise AgentError(f"{options.trace}: can't be written: {error.strerror}") from error
            trace = TraceWriter(stack.enter_context(file))
        replayed = replay(video, recording, trace)
        drawn.draw(replayed.evidence, video)
    if options.json:
        print(json.dumps(replayed.as_json(), indent=2))
    else:
        metrics = replayed.document["metrics"]
        print(f"{replayed.frames} frames at {replayed.fps:.2f} a second")
        _print_blinks(replayed.blinks)
        for name, value in metrics.items():
            print(f"{name:30} {_plain(value)}")
    return _deliver(settings, replayed.document) if options.deliver else 0


def _deliver(settings: AgentConfig, document: dict[str, Any]) -> int:
    with _open_store(settings) as store:
        store.put(document)
        with contextlib.closing(_delivery(settings, store)) as sync:
            if sync.once(settings.server.timeout_s):
                return 0
        print(f"blink-agent: kept, not delivered yet: {_delivery_report(store)}", file=sys.stderr)
    return 1


def _analyse(options: argparse.Namespace) -> None:
    with pictures(options.trace, options.plot) as drawn:
        rows, evidence = analyse(read_trace(options.trace, options.fps))
        drawn.draw(evidence)
    if options.json:
        print(json.dumps({"blinks": rows}, indent=2))
    else:
        _print_blinks(rows)


def _print_blinks(rows: list[dict[str, Any]]) -> None:
    print(f"{len(rows)} blinks")
    for row in rows:
        kind = "complete" if row["complete"] else "partial"
        print(
            f"  frames {row['first_frame']}-{row['last_frame']}  at {row['at_s']:.2f} s  "
            f"{row['duration_ms']} ms  {kind}"
        )


def _models(options: argparse.Namespace) -> None:
    cache = config.load(options.config).model.cache or models.default_cache()
    if options.action == "fetch":
        for path in models.fetch(cache):
            print(path)
        return
    for name in models.read_manifest():
        interpreter = models.load(name, cache)
        begun = time.perf_counter()
        interpreter.invoke()
        print(f"{name}: an inference took {1000 * (time.perf_counter() - begun):.1f} ms")


def _config(options: argparse.Namespace) -> None:
    settings = config.load(options.config)
    for section, key, default, _ in config.settings():
        value = getattr(getattr(settings, section), key)
        print(f"{section}.{key} = {_plain(value)}{'' if value == default else '  # set'}")


# Joining


def _camera(settings: AgentConfig) -> Camera:
    camera = settings.camera
    return open_camera(
        camera.source,
        device=camera.device,
        file=camera.file,
        loop=camera.loop,
        width=camera.width,
        height=camera.height,
        fps=camera.fps,
    )


def _tracker(settings: AgentConfig) -> FaceTracker:
    cache, threads = settings.model.cache or models.default_cache(), settings.model.threads
    return FaceTracker(
        models.load("face_detection", cache, threads), models.load("face_landmark", cache, threads)
    )


def _recording(tracker: Tracker, clock: Clock, camera: Camera, session_id: str | None) -> Recording:
    mesh = models.read_manifest()["face_landmark"]
    return Recording(
        tracker,
        clock,
        camera={"source": camera.source, "width": camera.width, "height": camera.height},
        agent={"version": __version__, "model": f"{mesh.name}@{mesh.sha256[:8]}"},
        session_id=session_id,
    )


@contextlib.contextmanager
def _open_store(settings: AgentConfig) -> Iterator[Store]:
    store = Store(settings.store_path)
    try:
        yield store
    finally:
        store.close()


def _delivery(settings: AgentConfig, store: Store, *, lasting: bool = False) -> Sync:
    """Over the broker first where there is one, then over HTTP. `lasting` is seen as present."""
    # Imported here alone: `watch` has no use for them, and they take 15 MB.
    from agent.transport_http import HttpSettings, HttpTransport
    from agent.transport_mqtt import MqttSettings, MqttTransport

    transports: list[Transport] = []
    server, mqtt = settings.server, settings.mqtt
    if mqtt.host is not None and server.device is not None:
        transports.append(
            MqttTransport(
                MqttSettings(
                    host=mqtt.host,
                    port=mqtt.port,
                    tls=mqtt.tls,
                    ca_file=mqtt.ca_file,
                    username=server.device,
                    password=settings.mqtt_password,
                    device=server.device,
                ),
                presence={"agent": __version__} if lasting else None,
            )
        )
    token = settings.api_token
    if server.url is not None and token is not None:
        transports.append(
            HttpTransport(
                HttpSettings(
                    url=server.url, token=token, ca_file=server.ca_file, timeout_s=server.timeout_s
                )
            )
        )
    if not transports:
        raise ConfigError(
            "expected [server] url with a token, or [mqtt] host, to deliver to; found neither"
        )
    return Sync(store, transports, alive=systemd.watchdog)


def _delivery_report(store: Store) -> str:
    return f"{_plain(store.counts())}; {_plain(store.noted('delivery'))}"


if __name__ == "__main__":
    sys.exit(main())
