"""Which sessions may open an alert about their numbers.

Stricter than the summaries: a wrong number hardly moves the median of a day, but an alert about it
misleads.
"""

import json
from collections.abc import Iterable, Mapping
from typing import Any

from server.session_data.told import quality_of

# Quality flags, as in agent/measure/quality.py, that make rate and PERCLOS unreliable.
SHORT_S = 180
COVERAGE_NEEDED = 0.7
FPS_NEEDED = 15
DROPPED = 0.1
DISTRUSTED = {
    "no_face",
    "short",
    "low_coverage",
    "low_frame_rate",
    "no_blink",
    "frames_dropped",
    "noisy",
    "blurred",
    "second_face",
}
# Flags that affect one metric only. `turned` affects none: the image was rotated first.
DISTRUSTED_FOR = {"perclos": {"gaze_unknown"}}
TRUST_COLUMNS = ("valid_s", "coverage", "fps", "frames", "frames_dropped", "blink_count")


def trusted(session: Mapping[str, Any]) -> bool:
    """Return whether a session's columns make its rate and PERCLOS comparable with others."""
    frames, dropped = session["frames"] or 0, session["frames_dropped"] or 0
    return bool(
        not session["date_uncertain"]
        and (session["valid_s"] or 0) >= SHORT_S
        and (session["coverage"] or 0) >= COVERAGE_NEEDED
        and (session["fps"] or 0) >= FPS_NEEDED
        and session["blink_count"]
        and dropped <= DROPPED * (frames + dropped)
    )


def metrics_to_trust(document_json: str, metrics: Iterable[str]) -> set[str]:
    """Return those of `metrics` that the document's `quality` does not flag as unreliable."""
    said = set(quality_of(json.loads(document_json)))
    if said & DISTRUSTED:
        return set()
    return {metric for metric in metrics if not said & DISTRUSTED_FOR.get(metric, set())}
