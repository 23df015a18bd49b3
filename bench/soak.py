"""`blink-agent watch` over a long time: its cost when idle and in a session, and whether it grows.

Runs the real process, in the environment of its unit, with mock pins and a looping video of the
blinking portrait as the camera, at twice the usual frame rate: an hour's frames in half an hour.
"""

import argparse
import contextlib
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from agent.store.store import Store
from scripts.demo import toml
from scripts.portrait import demo_schedule, load_portrait, write_video

FPS = 60.0
VIDEO_S = 20.0
IDLE_S = 20.0
"""At a tick of 10 ms the share of a core is then known to a twentieth of a percent."""

UNIT = Path(__file__).parents[1] / "deploy/systemd/blinklog-watch.service"

SETTLED_S = 120.0
"""Buffers reach their size, and the levels their memory: a last step of 0.8 MB came after 90 s."""

LIMIT_MB = 95.0
IDLE_LIMIT_PERCENT = 1.0
GROWTH_LIMIT_MB = 2.0
"""In an hour: a page here and there is noise, a leak of a byte a pixel is not."""


@dataclass(frozen=True, slots=True)
class Sample:
    """What /proc says of a process at one moment; `cpu_s` since its start."""

    time_s: float
    cpu_s: float
    rss_mb: float
    threads: int
    files: int


@dataclass(frozen=True, slots=True)
class Report:
    """What a soak found. Memory in MB of 1024 KB, as `top` shows it; growth by the hour.

    `decoder_mb` is what reading the video takes of it: FFmpeg, which no camera needs.
    """

    minutes: float
    frames: int
    frames_dropped: int
    fps: float | None
    blinks: int | None
    idle_cpu_percent: float
    session_cpu_percent: float
    idle_rss_mb: float
    rss_mb: float
    peak_rss_mb: float
    growth_mb_per_hour: float | None
    decoder_mb: float
    threads_grown: int
    files_grown: int

    def failures(self) -> list[str]:
        """Which promises were not kept."""
        found = {
            f"idle above {IDLE_LIMIT_PERCENT:g} % of a core": self.idle_cpu_percent
            > IDLE_LIMIT_PERCENT,
            f"above {LIMIT_MB:g} MB": self.peak_rss_mb > LIMIT_MB,
            "memory grows": (self.growth_mb_per_hour or 0.0) > GROWTH_LIMIT_MB,
            "threads grow": self.threads_grown > 0,
            "open files grow": self.files_grown > 0,
        }
        return [what for what, broken in found.items() if broken]


def main() -> int:
    """Runs the soak; 1 if a promise was not kept."""
    options = _options()
    report = soak(60 * options.minutes, options.video)
    if options.json:
        print(json.dumps({**asdict(report), "failures": report.failures()}, indent=2))
    else:
        for name, value in asdict(report).items():
            print(f"{name:20} {value:.2f}" if isinstance(value, float) else f"{name:20} {value}")
    for failure in report.failures():
        print(f"soak: {failure}", file=sys.stderr)
    return 1 if report.failures() else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=5.0, help="length of the session")
    parser.add_argument("--video", type=Path, help="loop this video instead of the portrait")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    return parser.parse_args()


def soak(session_s: float, video: Path | None = None) -> Report:
    """One idle stretch, then one session of that length."""
    with tempfile.TemporaryDirectory(prefix="blinklog-soak-") as name:
        folder = Path(name)
        store_path = folder / "agent.sqlite3"
        video = video or _portrait(folder)
        with _watch(folder, video) as process:
            _wait_for(store_path, process, "ready")
            idle = sample(process.pid), after(IDLE_S, process)
            press(process, 0.1)
            _wait_for(store_path, process, "measuring")
            samples = [sample(process.pid)]
            until = time.monotonic() + session_s
            while time.monotonic() < until:
                samples.append(after(min(2.0, session_s / 10), process))
            press(process, 2.0)
            _wait_for(store_path, process, "ready")
        with contextlib.closing(Store(store_path)) as store:
            (session,) = store.sessions(1)
        return _report(session.document, idle, samples, _decoder_mb(video))


def _report(
    document: dict[str, Any], idle: tuple[Sample, Sample], taken: list[Sample], decoder_mb: float
) -> Report:
    settled = [each for each in taken if each.time_s >= taken[0].time_s + SETTLED_S]
    compared = settled or taken[-1:]
    metrics = document["metrics"]
    return Report(
        minutes=metrics["duration_s"] / 60,
        frames=metrics["frames"],
        frames_dropped=metrics["frames_dropped"],
        fps=document["camera"]["fps"],
        blinks=metrics["blink_count"],
        idle_cpu_percent=_cpu_percent(*idle),
        session_cpu_percent=_cpu_percent(compared[0] if settled else taken[0], taken[-1]),
        idle_rss_mb=idle[1].rss_mb,
        rss_mb=taken[-1].rss_mb,
        peak_rss_mb=max(each.rss_mb for each in taken),
        growth_mb_per_hour=_growth(settled),
        decoder_mb=decoder_mb,
        threads_grown=compared[-1].threads - max(each.threads for each in compared[:10]),
        files_grown=compared[-1].files - max(each.files for each in compared[:10]),
    )


def _cpu_percent(first: Sample, last: Sample) -> float:
    return 100 * (last.cpu_s - first.cpu_s) / (last.time_s - first.time_s)


def _growth(samples: list[Sample]) -> float | None:
    """By a straight line through all samples; None of less than a minute of them."""
    if len(samples) < 2 or samples[-1].time_s - samples[0].time_s < 60:
        return None
    times_h = [each.time_s / 3600 for each in samples]
    return statistics.linear_regression(times_h, [each.rss_mb for each in samples]).slope


def sample(pid: int) -> Sample:
    """Now. Raises OSError for a process that is gone."""
    folder = Path("/proc") / str(pid)
    lines = (line.split() for line in (folder / "status").read_text().splitlines())
    status = {words[0].rstrip(":"): words[1] for words in lines if len(words) > 1}
    ticks = (folder / "stat").read_text().rpartition(")")[2].split()
    return Sample(
        time_s=time.monotonic(),
        cpu_s=(int(ticks[11]) + int(ticks[12])) / os.sysconf("SC_CLK_TCK"),  # utime, stime: proc(5)
        rss_mb=int(status["VmRSS"]) / 1024,
        threads=int(status["Threads"]),
        files=len(list((folder / "fd").iterdir())),
    )


def after(seconds: float, process: subprocess.Popen[bytes]) -> Sample:
    """So many seconds later. Ends the bench where the process has ended."""
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(seconds)
        raise SystemExit(f"soak: a process ended with status {process.returncode}")
    return sample(process.pid)


def _decoder_mb(video: Path) -> float:
    """By how much a process that reads the video, and does nothing else, grows."""
    run = subprocess.run(
        [sys.executable, "-c", _DECODE, str(video)], capture_output=True, text=True, check=True
    )
    return float(run.stdout)


_DECODE = """
import os, sys
from pathlib import Path
from agent.capture import ReplayCamera
from bench.soak import sample
before = sample(os.getpid()).rss_mb
camera = ReplayCamera(Path(sys.argv[1]), realtime=True)
camera.start()
for _ in range(60):
    pixels = camera.read(10.0).pixels
print(sample(os.getpid()).rss_mb - before)
"""


def _portrait(folder: Path) -> Path:
    path = folder / "portrait.avi"
    write_video(path, load_portrait(), demo_schedule(VIDEO_S), seconds=VIDEO_S, fps=FPS)
    return path


@contextlib.contextmanager
def _watch(folder: Path, video: Path) -> Iterator[subprocess.Popen[bytes]]:
    config = folder / "agent.toml"
    camera = {"source": "replay", "file": str(video.resolve()), "loop": True, "fps": FPS}
    sections: dict[str, dict[str, Any]] = {
        "camera": camera,
        "controls": {"pins": "mock"},
        "store": {"path": str(folder / "agent.sqlite3")},
        "session": {"limit_minutes": 24 * 60},
    }
    config.write_text(toml(sections))
    command = [sys.executable, "-m", "agent.cli.main", "--config", str(config), "watch"]
    environment = os.environ | _unit_environment()
    with (
        (folder / "watch.log").open("wb") as log,
        subprocess.Popen(command, stderr=log, env=environment) as process,
    ):
        try:
            yield process
        finally:
            process.terminate()


def _unit_environment() -> dict[str, str]:
    """The variables that systemd sets for `watch`."""
    lines = UNIT.read_text(encoding="utf-8").splitlines()
    settings = (line.partition("Environment=")[2].split() for line in lines)
    return dict(each.split("=", 1) for setting in settings for each in setting)


def _wait_for(store_path: Path, process: subprocess.Popen[bytes], state: str) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        after(0.2, process)
        if store_path.exists():
            with contextlib.closing(Store(store_path)) as store:
                if (store.noted("watch") or {}).get("state") == state:
                    return
    raise SystemExit(f"soak: watch was not {state} within 30 s")


def press(process: subprocess.Popen[bytes], seconds: float) -> None:
    """Holds the mock button down for so long."""
    process.send_signal(signal.SIGUSR1)
    time.sleep(seconds)
    process.send_signal(signal.SIGUSR2)


if __name__ == "__main__":
    sys.exit(main())
