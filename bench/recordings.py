"""Labelled recordings for benchmarks. They are not part of the repository.

They are searched in the folder that `BLINKLOG_DATA` names, by default `../shared/data`.
"""

import csv
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from agent.offline.trace import read_trace
from agent.records import EyeSample
from bench.scoring import Interval, spans

FPS = 30


def default_data() -> Path:
    """Where the recordings are looked for."""
    beside = Path(__file__).resolve().parents[2] / "shared" / "data"
    return Path(os.environ.get("BLINKLOG_DATA", beside))


@dataclass(frozen=True)
class Recording:
    """A trace and its labels: 1 in every frame that belongs to a blink."""

    name: str
    samples: tuple[EyeSample, ...]
    flags: tuple[int, ...]

    @property
    def labelled(self) -> list[Interval]:
        """The blinks, as intervals of the samples' indices."""
        return spans(self.flags)

    def decimated(self, step: int) -> Iterator["Recording"]:
        """What a camera of a `step`th of the frame rate would have seen: one for each phase."""
        for phase in range(step):
            yield replace(self, samples=self.samples[phase::step], flags=self.flags[phase::step])


@dataclass(frozen=True)
class Clip:
    """A video and its hand labels. What is found within `ignored` counts neither way."""

    path: Path
    labelled: list[Interval]
    ignored: list[Interval]


def read_recordings(data: Path) -> list[Recording]:
    """The EyeBlink8 traces under `data`; none where they are absent."""
    return [_recording(path) for path in sorted((data / "eyeblink8-ear").glob("*.csv"))]


def read_clips(data: Path) -> list[Clip]:
    """The labelled videos under `data`, in `clips` and `faces`; none where they are absent."""
    return [clip for folder in ("clips", "faces") for clip in _labelled(data / folder)]


def _labelled(folder: Path) -> list[Clip]:
    path = folder / "labels.json"
    if not path.exists():
        return []
    labels = {name: each for name, each in json.loads(path.read_text()).items() if name != "about"}
    return [
        Clip(
            path=folder / name,
            labelled=[(first, last) for first, last in each["blinks"]],
            ignored=[(first, last) for span in each["ignore"].values() for first, last in span],
        )
        for name, each in labels.items()
    ]


def _recording(path: Path) -> Recording:
    with path.open(newline="") as file:
        flags = tuple(int(row["blink"]) for row in csv.DictReader(file))
    return Recording(path.stem, read_trace(path, FPS).samples, flags)
