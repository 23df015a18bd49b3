"""Create the configured camera, tracker and recording, for the commands that measure."""

import math
from collections.abc import Callable

from agent import __version__
from agent.capture import Camera, open_camera
from agent.clock import Clock
from agent.config import AgentConfig
from agent.face import models
from agent.face.crops import Region
from agent.face.model_files import read_manifest
from agent.face.tracker import FaceTracker, open_tracker
from agent.measure.recording import Recording, Tracker
from agent.records import Activity


def camera(settings: AgentConfig) -> Camera:
    """Open the configured camera. Raises CameraError."""
    return open_camera(settings.camera)


def tracker(settings: AgentConfig) -> FaceTracker:
    """Load and test the models, and return a tracker for the camera as it is mounted."""
    cache, mounted = settings.model.cache or models.default_cache(), settings.camera
    upright = Region(0, 0, 1, -math.radians(mounted.rotate), mounted.flip)
    return open_tracker(cache, settings.model.threads, upright)


def recording(
    eyes: Tracker,
    clock: Clock,
    source: Camera,
    session_id: str | None,
    down: Callable[[float, float], None] | None = None,
    activity: Activity | None = None,
) -> Recording:
    """Begin a recording of a new session."""
    mesh = read_manifest()["face_trunk"]
    return Recording(
        eyes,
        clock,
        camera={"source": source.source, "width": source.width, "height": source.height},
        agent={"version": __version__, "model": mesh.origin},
        session_id=session_id,
        activity=activity,
        down=down,
    )
