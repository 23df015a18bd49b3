"""MediaPipe's own FaceMesh on the labelled clips, with each of the common rules.

It runs in its own environment (bench.environments). If that can't be made, or MediaPipe fails, the
result is null and standard error says why.
"""

import os
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from agent.errors import TraceError
from agent.offline.trace import read_trace
from agent.records import EyeSample
from bench.detectors import Detector
from bench.environments import ROOT, loud, mediapipe_python
from bench.recordings import Clip
from bench.scoring import Score, score

MESHES = {"FaceMesh": "plain", "FaceMesh, refined": "refined"}
"""Without and with the attention mesh around the eyes."""

TIMEOUT_S = 300.0
"""A clip takes some ten seconds on a busy machine; a worker that hangs must not hang the bench."""

Rows = dict[str, dict[str, Any]]


def on_clips(clips: Sequence[Clip], detectors: Mapping[str, Detector]) -> Rows | None:
    """Labelled, found and false blinks and F1 over all clips, by mesh and rule; None without it."""
    python = mediapipe_python() if clips else None
    if python is None:
        return None
    rows: Rows = {}
    for mesh, mode in MESHES.items():
        traces = []
        for clip in clips:
            if (samples := _trace(python, clip.path, mode)) is None:
                return None
            traces.append(samples)
        for name, detector in detectors.items():
            rows[f"{mesh}: {name}"] = _row(clips, traces, detector)
    return rows


def print_rows(rows: Rows | None) -> None:
    """Nothing without MediaPipe: that was said on standard error."""
    if not rows:
        return
    print(f"\n{'MediaPipe on all clips':58}{'labelled':>9}{'found':>9}{'false':>9}{'F1':>9}")
    for name, row in rows.items():
        print(f"{name:58}{row['labelled']:9}{row['found']:9}{row['false']:9}{row['f1']:9.3f}")


def _row(
    clips: Sequence[Clip], traces: Sequence[Sequence[EyeSample]], detector: Detector
) -> dict[str, Any]:
    total = Score()
    for clip, samples in zip(clips, traces, strict=True):
        total += score(detector(samples), clip.labelled, clip.ignored)
    return {
        "labelled": total.true + total.missed,
        "found": total.true,
        "false": total.false,
        "f1": round(total.f1, 4),
    }


def _trace(python: Path, video: Path, mode: str) -> Sequence[EyeSample] | None:
    """What FaceMesh saw in `video`; None, and a loud line, if it failed."""
    command = [str(python), "-m", "bench.facemesh_trace", str(video), mode]
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    try:
        run = subprocess.run(
            command, env=env, capture_output=True, text=True, timeout=TIMEOUT_S, check=True
        )
        return _read(run.stdout)
    except (subprocess.SubprocessError, OSError, TraceError) as error:
        said = str(getattr(error, "stderr", None) or error)
        loud(f"FaceMesh can't be measured on {video.name}: {' '.join(said.split()[-25:])}")
        return None


def _read(trace: str) -> Sequence[EyeSample]:
    with tempfile.TemporaryDirectory(prefix="blinklog-facemesh-") as folder:
        path = Path(folder) / "trace.csv"
        path.write_text(trace, encoding="utf-8")
        return read_trace(path, fps=30.0).samples
