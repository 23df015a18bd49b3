"""Worker of bench.speed: MediaPipe's own FaceMesh, in the environment that has it.

    python -m bench.speed.facemesh FRAMES.npy plain|refined

The settings are those of nearly every blink counter: video mode, one face; `refined` adds the
attention mesh around eyes and lips. Its input is RGB, as it requires; the conversion from BGR is
not timed.
"""

import sys

import mediapipe
import numpy as np

from bench.speed.stopwatch import Stopwatch, work


def main() -> None:
    """Measures until standard input ends."""
    path, mesh = sys.argv[1:]
    frames = [np.ascontiguousarray(bgr[..., ::-1]) for bgr in np.load(path, mmap_mode="r")]
    rgb = np.empty_like(frames[0])
    face_mesh = mediapipe.solutions.face_mesh.FaceMesh(
        static_image_mode=False, max_num_faces=1, refine_landmarks=mesh == "refined"
    )

    def measure(_: int, stopwatch: Stopwatch) -> None:
        for frame in frames:
            rgb[:] = frame
            found = stopwatch.call("step", face_mesh.process, rgb)
            if not found.multi_face_landmarks:
                stopwatch.add("no face", 0.0)
            if stopwatch.is_over:
                return

    work(f"mediapipe {mediapipe.__version__}", measure)


if __name__ == "__main__":
    main()
