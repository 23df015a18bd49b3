"""Worker of bench.mediapipe_peer: runs FaceMesh on a video, in the environment with MediaPipe.

    python -m bench.facemesh_trace VIDEO plain|refined

Prints a trace in the format that `agent.offline.trace` reads. The settings are those of nearly
every blink counter: video mode, one face. `refined` adds the attention mesh around eyes and lips.
"""

import importlib
import sys
from contextlib import closing
from pathlib import Path

import cv2
import numpy as np

from agent.capture import ReplayCamera
from agent.ear import eye_sample
from agent.offline.replay import frames_of
from agent.offline.trace import TraceWriter
from bench.mesh_face import mesh_face


def main() -> None:
    """One row a frame."""
    path, mesh = sys.argv[1:]
    mediapipe = importlib.import_module("mediapipe")  # not in the environment that is type-checked
    face_mesh = mediapipe.solutions.face_mesh.FaceMesh(
        static_image_mode=False, max_num_faces=1, refine_landmarks=mesh == "refined"
    )
    writer = TraceWriter(sys.stdout)
    with closing(frames_of(ReplayCamera(Path(path)))) as frames:
        for number, frame in enumerate(frames):
            found = face_mesh.process(cv2.cvtColor(frame.pixels, cv2.COLOR_BGR2RGB))
            face = None
            if found.multi_face_landmarks:
                marks = found.multi_face_landmarks[0].landmark
                # x and z are shares of the width, y of the height; the irises come last.
                points = np.array([(p.x, p.y, p.z) for p in marks[:468]], np.float32)
                points *= np.array([frame.width, frame.height, frame.width], np.float32)
                face = mesh_face(frame.time_s, points, 1.0)
            writer.write(number, eye_sample(frame.time_s, face))


if __name__ == "__main__":
    main()
